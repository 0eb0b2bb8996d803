"""A job over a table of reviews, labelled by rules, and what may be added to it."""

JOB = """\
name = "reviews"
[read.table]
path = "reviews.csv"
[[annotate]]
into = "topics"
[annotate.rules]
field = "review"
rule = [{ label = "logistics", terms = ["late", "deliver*"] }, { label = "quality", terms = ["broken"] }]
"""
LENGTH = """
[[annotate]]
into = "length"
function = "labels.py:length"
"""
WRITE = """
[write]
folder = "out"
"""
