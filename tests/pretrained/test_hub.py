"""Models on the Hugging Face hub, without a network: what huggingface_hub would send, and what lies in its cache."""

from __future__ import annotations

import sys

import pytest
import torch

from ternary_vae import DualVAE, UserError

huggingface_hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The hub's cache, empty, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def cached(cache, model):
    place = cache / "models--someone--gates"
    model.save_pretrained(place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    return place / "snapshots" / COMMIT


def random_model():
    torch.manual_seed(8)
    return DualVAE("translated", middle_value_b=1).eval()


def test_a_model_of_the_cache(cache):
    model = random_model()
    cached(cache, model)
    for revision in (None, "main", COMMIT):
        loaded = DualVAE.from_pretrained("someone/gates", revision=revision)
        assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_a_damaged_model_of_the_cache(cache):
    place = cached(cache, random_model())
    (place / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"model\.safetensors: is damaged"):
        DualVAE.from_pretrained("someone/gates")


def test_another_model_of_the_cache(cache):
    place = cached(cache, random_model())
    (place / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(UserError, match="of another program"):
        DualVAE.from_pretrained("someone/gates")


@pytest.mark.parametrize("name", ["someone/else", "some--one/gates"])
def test_a_model_that_cannot_be_reached(cache, name):
    with pytest.raises(UserError, match=f"cannot get {name} on the Hugging Face hub: .*check the name"):
        DualVAE.from_pretrained(name)


def test_what_is_put_on_the_hub(cache, tmp_path, monkeypatch):
    sent = {}

    def create_repo(self, repo_id, **_):
        return huggingface_hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self, *, repo_id, folder_path, commit_message, **_):
        sent[repo_id] = {path.name: path.read_bytes() for path in folder_path.iterdir()}
        return huggingface_hub.CommitInfo(
            commit_url=f"https://huggingface.co/{repo_id}/commit/{COMMIT}", commit_message=commit_message,
            commit_description="", oid=COMMIT,
        )  # fmt: skip

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    model = DualVAE.from_pretrained()
    address = model.push_to_hub("someone/gates", commit_message="A model")
    assert address.startswith("https://huggingface.co/someone/gates")
    model.save_pretrained(tmp_path / "saved")
    assert sent == {"someone/gates": {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}}
    assert huggingface_hub.ModelCard(sent["someone/gates"]["README.md"].decode()).data.library_name == "ternary-vae"


def test_a_hub_that_cannot_be_reached_takes_nothing(cache, monkeypatch):
    """What huggingface_hub lets through of the library that it speaks HTTP with, and nothing else."""
    for module, raised in (("httpx2", UserError), ("elsewhere", ValueError)):
        failure = type("ConnectError", (ValueError,), {"__module__": module})

        def create_repo(self, repo_id, failure=failure, **_):
            raise failure("connection refused")

        monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
        with pytest.raises(raised, match="connection refused"):
            DualVAE.from_pretrained().push_to_hub("someone/gates")


def test_without_huggingface_hub(monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "ternary_vae.pretrained.hub", raising=False)
    with pytest.raises(UserError, match=r"huggingface_hub is not installed; pip install 'ternary-vae\[hub\]'"):
        DualVAE.from_pretrained("someone/gates")
    with pytest.raises(UserError, match=r"huggingface_hub is not installed; pip install 'ternary-vae\[hub\]'"):
        DualVAE.from_pretrained().push_to_hub("someone/gates")


def test_a_shipped_model_has_no_revisions():
    with pytest.raises(UserError, match="revision 'main': resolution comes with this package"):
        DualVAE.from_pretrained(revision="main")


def test_a_directory_has_no_revisions(tmp_path):
    with pytest.raises(UserError, match=r"revision 'main': .* is a directory here"):
        DualVAE.from_pretrained(str(tmp_path), revision="main")
