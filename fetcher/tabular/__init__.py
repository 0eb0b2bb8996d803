"""Tables in files: how their bytes become lines, and which of them cannot be read. Knows no job and no run.

Whatever a cell holds stays as it is, blanks and line breaks included. A line that cannot be read is told with its
number and content, and the next one is read all the same.
"""
