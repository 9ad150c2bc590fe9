"""What commands say when a package that only some of them need cannot be imported."""


def missing_package(error: ImportError, *, extras: str) -> str:
    """The package that could not be imported and how to get it: `extras` are those of trimoe that bring it."""
    package = (error.name or "a package").partition(".")[0]
    if isinstance(error, ModuleNotFoundError):
        return f"{package} is not installed (pip install 'trimoe[{extras}]')"
    return f"{package} cannot be imported: {error}"
