"""A preprocessor of mdBook: links that leave docs/ name the file instead, since the book does not contain it.

On a forge these links work as they are.
"""

import json
import posixpath
import re
import sys


def without_repository_links(text, page):
    def replaced(link):
        path, _, _ = link["target"].partition("#")
        file = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), path))
        if not path or "://" in path or file.startswith("docs/"):
            return link[0]
        label = link["label"]
        return label if file in label.replace("`", "") else f"{label} (`{file}` in the repository)"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part if part.startswith("```") else re.sub(r"(?<!!)\[(?P<label>[^\]]*)\]\((?P<target>[^)\s]+)\)", replaced, part)
        for part in parts
    )


def visit(items):
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            chapter = item["Chapter"]
            chapter["content"] = without_repository_links(chapter["content"], chapter["path"] or "")
            visit(chapter["sub_items"])


if sys.argv[1:2] == ["supports"]:
    sys.exit(0)
context, book = json.load(sys.stdin)
visit(book.get("items") or book["sections"])
json.dump(book, sys.stdout)
