"""What a command says of a package that it needs and cannot import."""

import pytest

from runtime.commands.needed_packages import needed_packages
from runtime.errors import MissingPackageError

BROKEN = ImportError("libcudart.so.13: cannot open shared object file", name="torch._C")
ABSENT = ModuleNotFoundError("No module named 'scipy.stats'", name="scipy.stats")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ABSENT, "trimoe gate needs the package scipy, which is not installed: pip install 'trimoe[profiles,cpu]'"),
        (
            BROKEN,
            "trimoe gate needs the package torch, which cannot be imported: libcudart.so.13: cannot open shared object "
            "file",
        ),
    ],
)
def test_a_package_that_is_not_there_and_one_that_fails_are_said_apart(error: ImportError, said: str) -> None:
    with pytest.raises(MissingPackageError) as raised, needed_packages("trimoe gate", extras="profiles,cpu"):
        raise error
    assert str(raised.value) == said
