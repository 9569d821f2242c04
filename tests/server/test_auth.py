"""API key, host check and headers, on every route; and what the page is allowed to do."""

import pytest
from starlette.routing import Mount, Route

from baleen.server.auth import is_loopback_name

KEY = "correct horse"


@pytest.fixture
def locked(serve):
    return serve(app_options={"api_key": KEY})


def test_every_route_but_health_and_the_page_needs_the_key(locked):
    public = {"/", "/health", "/page"}
    paths = [r.path for r in locked.app.routes if isinstance(r, Route | Mount)]
    paths += ["/v1/chat/completions", "/v1/models", "/metrics", "/setup.json", "/openapi.json"]
    paths += ["/nothing", "//v1/models", "/v1/models/", "/v1%2Fmodels", "/page/../v1/models", "/health/"]
    with locked.http as http:
        for path in paths:
            for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
                status = http.request(method, path).status_code
                if path in public and method in ("GET", "HEAD"):
                    assert status != 401, (method, path)
                else:
                    assert status == 401, (method, path)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer {KEY}", 200),
        (f"Basic {KEY}", 401),
        (KEY, 401),
        ("Bearer wrong", 401),
        ("Bearer", 401),
        (f"Bearer {KEY}x", 401),
        ("Bearer \xff", 401),
    ],
)
def test_the_key(locked, header, status):
    with locked.http as http:
        response = http.get("/v1/models", headers={"authorization": header.encode("latin-1")})
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["type"] == "authentication_error"
        assert KEY not in response.text


def test_without_a_key_only_local_names_are_served(serve):
    server = serve()
    with server.http as http:
        assert http.get("/v1/models").status_code == 200
        assert http.get("/v1/models", headers={"host": "localhost:8000"}).status_code == 200
        for host in (
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ):
            assert http.get("/v1/models", headers={"host": host}).status_code == 403, host


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1:1", True), ("[::1]:80", True), ("[::1]", True), ("127.8.0.1", True),
     ("0.0.0.0", False), ("", False), ("example.org:80", False), ("::", False)],
)  # fmt: skip
def test_loopback_names(host, expected):
    assert is_loopback_name(host) == expected


def test_pages_are_served_with_a_policy_that_allows_nothing_foreign(serve):
    server = serve()
    with server.http as http:
        index = http.get("/")
        assert index.status_code == 200 and '<script type="module" src="/page/app.js">' in index.text
        for name in ("app.js", "api.js", "answer.js", "tools.js", "view.js", "style.css", "icon.svg"):
            response = http.get(f"/page/{name}")
            assert response.status_code == 200, name
            assert "http://" not in response.text.replace("http://www.w3.org/2000/svg", "")
            assert "https://" not in response.text
            assert response.headers["x-content-type-options"] == "nosniff"
        for path in ("/", "/page/app.js", "/nothing", "/v1/models"):
            policy = http.get(path).headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self';") and "unsafe" not in policy
        assert http.get("/page/../app.py").status_code == 404
        assert http.get("/page/%2e%2e/app.py").status_code == 404


def test_the_page_never_writes_html(serve):
    from pathlib import Path

    import baleen.server

    folder = Path(baleen.server.__file__).parent / "page"
    scripts = list(folder.glob("*.js"))
    assert len(scripts) >= 4
    for script in scripts:
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert word not in script.read_text(), (script.name, word)
    html = (folder / "index.html").read_text()
    assert "style=" not in html and " on" not in html.replace(" one", "")


def test_setup_of_the_page(serve):
    from baleen.server import Prices

    prices = Prices("DeepSeek-V3.2", "2025-12-01", 0.28, 0.028, 0.42)
    tools = ({"type": "function", "function": {"name": "f"}},)
    server = serve(app_options={"prices": prices, "page_tools": tools})
    with server.http as http:
        assert http.get("/setup.json").json() == {
            "model": "tiny",
            "thinking": True,
            "prices": {
                "name": "DeepSeek-V3.2",
                "date": "2025-12-01",
                "input": 0.28,
                "cached": 0.028,
                "output": 0.42,
            },
            "tools": list(tools),
        }


def test_metrics_count_what_happened(serve):
    server = serve("= 46</think>46<｜end▁of▁sentence｜>")
    server.chat()
    assert server.post(model="nope").status_code == 400
    with server.http as http:
        text = http.get("/metrics").text
    prompt = len(server.engine.prompts[0])
    assert f'baleen:prompt_tokens_total{{model_name="tiny"}} {float(prompt)}' in text
    assert f'baleen:prefix_cache_hits_total{{model_name="tiny"}} {float(prompt // 2)}' in text
    assert 'baleen:request_success_total{finished_reason="stop",model_name="tiny"} 1.0' in text
    assert 'baleen:request_errors_total{model_name="tiny",status="400"} 1.0' in text
    assert 'baleen:time_to_first_token_seconds_count{model_name="tiny"} 1.0' in text


def test_the_openapi_file_names_the_endpoints(serve):
    server = serve()
    with server.http as http:
        document = http.get("/openapi.json").json()
        assert http.get("/docs").status_code == 404
    assert set(document["paths"]) == {"/v1/chat/completions", "/v1/models", "/health", "/metrics"}
    request = document["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    assert "max_tokens" in request and "thinking" in request
