"""The name and the note that users give a run or a model. No avatar depends on them."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

LONGEST_NAME, LONGEST_NOTE = 80, 2000  # characters
# PostgreSQL's text cannot have NUL.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NAME, pattern=r"^[^\x00]*$")
]
Note = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=LONGEST_NOTE, pattern=r"^[^\x00]*$")
]


class Description(BaseModel):
    """A change of the name, the note, or both; an empty text removes what there was."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = Field(None, examples=["Anime, second try"])
    note: Note | None = Field(None, examples=["More augmentation than before."])

    def values(self) -> dict[str, str | None]:
        """The columns that change."""
        return {name: text or None for name, text in self.model_dump(exclude_none=True).items()}
