"""Prints the links between the pages of a folder of HTML that lead nowhere, and fails if there are any.

    python3 broken_links.py FOLDER
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.ids = [], {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name") and value:
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.links.append(value)


folder = Path(sys.argv[1]).resolve()
pages = {path: Page(path.read_text()) for path in folder.rglob("*.html")}
links, broken = 0, []
for path, page in pages.items():
    if path.name in ("404.html", "toc.html"):  # their links are relative to another place
        continue
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        links += 1
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.is_file() or not target.is_relative_to(folder):
            broken.append(f"{path.relative_to(folder)}: {link} does not exist")
        elif target in pages and unquote(parts.fragment) not in pages[target].ids:
            broken.append(f"{path.relative_to(folder)}: {link} has no such anchor")
print("\n".join(broken) or f"{links} links")
sys.exit(bool(broken) or links < 500)
