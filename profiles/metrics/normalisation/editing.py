"""Edit distance between two texts."""


def edit_distance(first: str, second: str) -> int:
    """Least number of characters to insert, delete or replace to turn one text into the other."""
    if len(first) < len(second):
        first, second = second, first
    row = list(range(len(second) + 1))
    for place, letter in enumerate(first, start=1):
        corner, row[0] = row[0], place
        for column, other in enumerate(second, start=1):
            corner, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, corner + (letter != other))
    return row[-1]
