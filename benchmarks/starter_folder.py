"""Writes starter pictures as a user's own folder: other file names, and labels in a table.

    python benchmarks/starter_folder.py FOLDER [--pictures 20000] [--size 128]
    kao train --dataset FOLDER --minutes 60 --set 'labels=["haarfarbe", "brille", …]'

`metadata.csv` has six of the starter's attributes under other names and a column of numbers, so a
model that is trained on the folder can be judged by the truth: `kao evaluate` measures how often
each trait is obeyed, with a classifier that is trained on pictures of the set.
"""

import argparse
import csv
import hashlib
from pathlib import Path

from PIL import Image

from worker.datasets import starter, starter_attributes

# The starter's attribute → the column's name.
COLUMNS = {
    "hair_colour": "Haarfarbe",
    "hair_length": "Haarlänge",
    "skin": "Hautton",
    "glasses": "Brille",
    "mood": "Stimmung",
    "background": "Hintergrund",
}
NUMBER = "Augen offen"  # 0 to 2, from `eyes_state`
OPENNESS = {"closed": 0, "wink": 0.5, "half": 1, "open": 2}


def main() -> None:
    """Write the pictures and their table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=128, help="of a picture, in pixels")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    with (options.folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", *COLUMNS.values(), NUMBER])
        for index, pixels in enumerate(starter.render_all(options.pictures, options.size)):
            name = f"{hashlib.sha256(str(index).encode()).hexdigest()[:12]}.png"
            Image.fromarray(pixels).save(options.folder / name)
            labels = starter_attributes.attributes(index)
            openness = OPENNESS[labels["eyes_state"]]
            table.writerow([name, *(labels[each] for each in COLUMNS), openness])
    print(f"{options.pictures:,} pictures in {options.folder}")


if __name__ == "__main__":
    main()
