"""What changes something: an order that must be executed once, and a new credential."""

import hashlib

from aiohttp import web

from fetcher.testing.faults.exchange import World, json_answer

ORDERS = "/v1/orders"
TOKEN = "/v1/token"


def is_post(request: web.BaseRequest) -> bool:
    """Whether something is asked here."""
    return request.method == "POST" and request.path in (ORDERS, TOKEN)


async def answer_post(request: web.BaseRequest, world: World) -> web.Response:
    """The answer; an order with an Idempotency-Key that was seen is answered, not executed again."""
    if request.path == TOKEN:
        world.book.tokens += 1
        told = {"access_token": f"token-{world.book.tokens}", "token_type": "Bearer", "expires_in": 3600}
        return json_answer(200, told)
    payload = hashlib.sha256(await request.read()).hexdigest()[:16]
    key = request.headers.get("Idempotency-Key", "")
    seen = world.memory.recall("orders", key, list[str]) if key else []
    if seen and seen[0] != payload:
        return json_answer(422, {"message": "This Idempotency-Key was used with another payload"})
    if not seen:
        seen.append(payload)
        world.book.note_execution(key or payload)
    return json_answer(201, {"order": payload})
