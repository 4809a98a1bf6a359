"""The internals of Gradio that the page relies on: loud when a new version moves them."""

import json
import re
from pathlib import Path

import pytest

gr = pytest.importorskip("gradio", reason="needs requirements-web.txt")


def test_the_queue_has_what_the_shares_of_visitors_are_counted_by():
    with gr.Blocks() as blocks:
        picture = gr.Image()
        picture.change(lambda path: None, picture, None)
    blocks.queue(max_size=3)
    queue = blocks._queue
    for name in (
        "event_ids_to_events",
        "pending_messages_per_session",
        "pending_event_ids_session",
        "clean_events",
    ):
        assert hasattr(queue, name), name
    assert hasattr(queue.pending_messages_per_session, "pop")
    (function,) = queue.blocks.fns.values()
    assert function.name and function.inputs == [picture]
    for name in ("is_running", "state_session_capacity", "space_id"):
        assert hasattr(blocks, name), name


def test_an_event_knows_its_session_its_request_and_its_age():
    import inspect

    from gradio.queueing import Event

    said = inspect.getsource(Event.__init__)
    for name in ("session_hash", "request", "fn", "enqueue_time"):
        assert f"self.{name}" in said, name


def test_tracebacks_are_printed_through_names_that_can_be_replaced():
    import gradio.queueing
    import gradio.route_utils

    for module in (gradio.queueing, gradio.route_utils):
        source = Path(module.__file__).read_text()
        calls = set(re.findall(r"\btraceback\.(\w+)\(", source))
        assert calls <= {"print_exc"}, module.__name__


def test_the_examples_of_the_api_are_made_by_a_name_that_can_be_replaced():
    import inspect

    import gradio.routes

    from edge_app.web.snippets import code_snippets

    theirs = inspect.signature(gradio.routes.generate_code_snippets)
    theirs.bind("/classify", {}, "http://127.0.0.1", space_id=None, api_prefix="/gradio_api/")
    made = "generate_code_snippets("
    assert made in inspect.getsource(gradio.routes)
    assert set(code_snippets("/classify", {}, "http://127.0.0.1")) == {
        "python",
        "javascript",
        "bash",
    }
    assert callable(gr.Image().example_payload)


def test_the_page_is_a_template_whose_head_can_be_given_a_first_script():
    import gradio.routes

    environment = gradio.routes.templates.env
    source, _, _ = environment.loader.get_source(environment, "frontend/index.html")
    assert source.count("<head>") == 1
    from edge_app.web.server import _MANIFEST

    assert source.count(_MANIFEST) == 1
    assert "window.navigator.language" not in source.split("<head>")[0]


def test_components_have_the_methods_that_refuse_other_files():
    for component in (gr.Image, gr.File):
        assert callable(component.preprocess)
        assert callable(component.async_move_resource_to_block_cache)


def test_uvicorn_tells_its_protocol_when_a_connection_and_an_answer_are_done():
    from uvicorn.protocols.http.h11_impl import H11Protocol

    for name in ("connection_made", "on_response_complete"):
        assert callable(getattr(H11Protocol, name)), name


def test_gradio_still_says_what_the_page_translates():
    from edge_app.web.texts import GRADIO

    assets = Path(gr.__file__).parent / "templates" / "frontend" / "assets"
    scripts = "".join(path.read_text(errors="ignore") for path in assets.glob("*.js"))
    ours = ("common.upload", "image.no_webcam_support", "Failed to fetch", "Load failed")
    ours += ("NetworkError when attempting to fetch resource.", "- or -")
    missing = [
        part
        for words in GRADIO
        for part in re.split(r"{\w+}", words)
        if words not in ours and part not in scripts and json.dumps(part)[1:-1] not in scripts
    ]
    assert missing == []
