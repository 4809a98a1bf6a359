"""The examples of *Use via API*. Gradio's own send an address, which this server never fetches."""

from __future__ import annotations

from typing import Any

EXAMPLE = {"path": "samples/coffee.jpg", "meta": {"_type": "gradio.FileData"}}
"""The picture of the examples, as a client names a file of its own."""

_PYTHON = """\
from gradio_client import Client, handle_file

client = Client("{root}")
answer = client.predict(picture=handle_file("{path}"), api_name="{name}")
print(answer["label"], answer["confidence"], answer["uncertain"])"""

_JAVASCRIPT = """\
import {{ openAsBlob }} from "node:fs";
import {{ Client, handle_file }} from "@gradio/client";

const client = await Client.connect("{root}");
const picture = await openAsBlob("{path}");
const answer = await client.predict("{name}", {{ picture: handle_file(picture) }});
console.log(answer.data[0].label);
process.exit();"""

_BASH = """\
API={root}/gradio_api
FILE=$(curl -sf -F files=@{path} $API/upload | tr -d '[]"')
DATA='{{"data": [{{"path": "'$FILE'", "meta": {{"_type": "gradio.FileData"}}}}]}}'
EVENT=$(curl -sf $API/call{name} -H 'Content-Type: application/json' -d "$DATA" | cut -d '"' -f 4)
curl -sfN $API/call{name}/$EVENT"""


def code_snippets(api_name: str, info: dict[str, Any], root: str, **_: object) -> dict[str, str]:
    """Examples for the one function of the API, instead of those that Gradio generates.

    Args:
        api_name: ``/classify``.
        info: what Gradio knows of the function.
        root: the address of the page.
    """
    values = {"root": root.rstrip("/"), "name": api_name, "path": EXAMPLE["path"]}
    languages = {"python": _PYTHON, "javascript": _JAVASCRIPT, "bash": _BASH}
    return {language: example.format(**values) for language, example in languages.items()}
