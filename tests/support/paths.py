"""Folders that tests read: the project, its measured data, the modeling files, and the tests' own data."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TEST_DATA = ROOT / "tests" / "data"
DEMO = ROOT / "profiles" / "data" / "demo"
MODELING = ROOT / "runtime" / "modeling"


STUDY = ROOT / "profiles" / "data" / "molmoe-1b" / "study_drops.json"
