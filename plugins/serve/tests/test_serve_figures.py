"""The figures at /metrics are what their names say."""

from __future__ import annotations

import json

from pajamas.types import Chunk, Usage
from pajamas_serve.metrics import Metrics
from pajamas_serve.pool.models import Models
from pajamas_serve.settings import ModelSpec, ServerSettings
from serving import until


def test_counters_are_called_counters(tiny):
    text = tiny.get("/metrics")[2]
    for name in ("starts", "crashes"):
        assert f"# TYPE pajamas_worker_{name}_total counter" in text
    assert tiny.metric("pajamas_worker_starts_total", model="tiny", purpose="generation") == 1


def test_workers_for_embeddings_have_the_models_name(tiny):
    assert tiny.post("/v1/embeddings", {"input": "a"})[0] == 200
    assert tiny.metric("pajamas_worker_starts_total", model="tiny", purpose="embeddings") >= 1


def test_tokens_that_came_together_are_counted_one_by_one(tmp_path):
    metrics = Metrics(Models(ServerSettings(models=(ModelSpec(name="m", reference=tmp_path),))))
    watch = metrics.answer("m", began=-1e9)
    for tokens in ((1, 2), (3, 4, 5), ()):
        watch.got([Chunk(token_ids=tokens)])
    assert 'pajamas_inter_token_latency_seconds_count{model="m"} 3.0' in metrics.text().decode()
    assert 'pajamas_generation_tokens_total{model="m"} 5.0' in metrics.text().decode()  # though it is not at its end
    watch.ended(Chunk(usage=Usage(prompt_tokens=2, completion_tokens=6), finish_reason="stop"))
    text = metrics.text().decode()
    assert 'pajamas_generation_tokens_total{model="m"} 6.0' in text
    assert 'pajamas_time_to_first_token_seconds_bucket{le="300.0",model="m"} 0.0' in text  # since its request began


def test_a_health_check_that_says_not_yet_is_no_warning(serve, tiny_gguf):
    server = serve("--model", f"tiny={tiny_gguf}", "--threads", 1, "--log-format", "json", ready=False)
    asked = []
    assert until(lambda: asked.append(server.get("/health")[0]) or asked[-1] == 200)
    assert 503 in asked and not [line for line in server.lines if json.loads(line)["level"] == "warning"]
