"""What no test reaches of a folder's sources, from what llvm-cov exports; exits with 1 if there is any.

    unreached.py LCOV JSON FOLDER DEAD

The lines are those of the one export, the branches those of the other, which tells a function that
several programs hold by where it stands. Each line of DEAD names a line of code that is dead, and why:
`file | code | reason`. One that is reached is an error, too.
"""

import collections
import json
import pathlib
import sys

lcov, exported, folder, dead = map(pathlib.Path, sys.argv[1:])
excused = {}
for line in dead.read_text().splitlines():
    if line and not line.startswith("#"):
        file, code, reason = (part.strip() for part in line.split(" | ", 2))
        excused[file, code] = reason
used = set()
table = []
unreached = []

branches_of = collections.defaultdict(collections.Counter)
for file in json.loads(exported.read_text())["data"][0]["files"]:
    for line, column, end, last, then, otherwise, *_ in file["branches"]:
        branches_of[pathlib.Path(file["filename"])][line, column, end, last, "then"] += then
        branches_of[pathlib.Path(file["filename"])][line, column, end, last, "else"] += otherwise

for record in lcov.read_text().split("end_of_record\n"):
    lines = collections.Counter()
    path = None
    for entry in record.splitlines():
        kind, _, rest = entry.partition(":")
        if kind == "SF":
            path = pathlib.Path(rest)
        elif kind == "DA":
            number, count = map(int, rest.split(",")[:2])
            lines[number] += count
    if path is None or folder not in path.parents:
        continue
    branches = branches_of[path]
    source = path.read_text().splitlines()
    tests = next((n for n, line in enumerate(source, 1) if line == "#[cfg(test)]"), len(source) + 1)
    name = str(path.relative_to(folder))
    missed = {}
    for number, count in lines.items():
        if number < tests and count == 0:
            missed[number] = "line"
    for (number, column, _, _, way), count in sorted(branches.items()):
        if number < tests and count == 0 and missed.get(number) != "line":
            missed[number] = f"{way} of column {column}"
    for number, what in sorted(missed.items()):
        code = source[number - 1].strip()
        if (name, code) in excused:
            used.add((name, code))
        else:
            unreached.append(f"{name}:{number}: {what}: {code}")
    of_lines = [count for number, count in lines.items() if number < tests]
    of_branches = [count for (number, *_), count in branches.items() if number < tests]
    table.append((name, of_lines, of_branches))

for name, of_lines, of_branches in sorted(table):
    reached = [f"{sum(map(bool, counts)):4} of {len(counts):4}" for counts in (of_lines, of_branches)]
    print(f"{name:24} lines {reached[0]}   branches {reached[1]}")
for name, code in sorted(set(excused) - used):
    unreached.append(f"{name}: is reached or gone, and unreached.txt excuses it: {code}")
print("\n".join(unreached))
print(f"{len(unreached)} not reached, {len(used)} excused")
sys.exit(bool(unreached) or not table)
