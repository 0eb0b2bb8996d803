"""The JSON Schema of a job file, made from the same models that read it, so that an editor completes and explains."""

from fetcher.job.file import Job

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def job_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) with each key's description; texts with units stay texts, with patterns."""
    schema = Job.model_json_schema(by_alias=True, mode="validation")
    plain = _without_python(schema)
    assert isinstance(plain, dict)
    return {"$schema": _DIALECT, "title": "fetcher job", **plain}


def _without_python(schema: object, is_keys: bool = False) -> object:
    """`schema` without what only Python has: null for a key left out, titles made from class names.

    `is_keys` where the names are those of a job file's keys and not JSON Schema's own words.
    """
    if isinstance(schema, list):
        return [_without_python(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if is_keys:
        return {key: _without_python(value) for key, value in schema.items()}
    plain = {
        key: _without_python(value, is_keys=key in ("properties", "$defs"))
        for key, value in schema.items()
        if key != "title" and not (key == "default" and value in (None, [], ()))
    }
    choices = plain.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        choices.remove({"type": "null"})
        if len(choices) == 1:
            del plain["anyOf"]
            plain = {**choices[0], **plain}
    return plain
