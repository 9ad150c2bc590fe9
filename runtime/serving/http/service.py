"""All that the routes of one server work with."""

from dataclasses import dataclass

from runtime.serving.http.admission import Admission
from runtime.serving.http.api_keys import ApiKeys
from runtime.serving.http.current_family import CurrentFamily
from runtime.serving.http.images.picture_reader import PictureReader
from runtime.serving.http.limits import Limits
from runtime.serving.http.observing.books import Books
from runtime.serving.http.reloading import Reloading


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """`name` is what clients call the family; `begun` when the server started, in seconds since 1970."""

    name: str
    begun: int
    limits: Limits
    current: CurrentFamily
    admission: Admission
    pictures: PictureReader
    books: Books
    reloading: Reloading
    keys: ApiKeys
    admin_keys: ApiKeys

    async def close(self) -> None:
        """Free everything."""
        self.pictures.close()
        await self.current.close()
