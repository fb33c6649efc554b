"""Canonicalises documents with lxml: one JSON line {"xml", "exclusive", "comments", "prefixes"} in, one JSON text out."""
import json
import sys
from io import BytesIO

from lxml import etree

for line in sys.stdin:
    wish = json.loads(line)
    tree = etree.parse(BytesIO(wish["xml"].encode()))
    out = BytesIO()
    tree.write_c14n(
        out,
        exclusive=wish["exclusive"],
        with_comments=wish["comments"],
        inclusive_ns_prefixes=wish["prefixes"] or None,
    )
    print(json.dumps(out.getvalue().decode()))
