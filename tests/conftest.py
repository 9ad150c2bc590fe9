"""Settings of the whole test run."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis

# transformers copies remote code into this folder and remembers it for the life of the process: one for the run, away
# from the user's own. It is read when transformers is imported, so it has to be set before any test module is.
_MODULES = tempfile.mkdtemp(prefix="trimoe-tests-")
os.environ["HF_MODULES_CACHE"] = _MODULES
os.environ["HF_HUB_OFFLINE"] = "1"
atexit.register(shutil.rmtree, _MODULES, ignore_errors=True)

# Engines keep packed weights among the user's caches: one folder for the run. matplotlib finds its fonts where it did.
_CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("MPLCONFIGDIR", str(_CACHES / "matplotlib"))
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="trimoe-tests-caches-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# Machines that run tests are shared: how long an example takes says nothing.
hypothesis.settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")

pytest_plugins = ("tests.support.fixtures",)
