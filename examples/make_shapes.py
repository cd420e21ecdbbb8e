"""Draws the images of `shapes`: python make_shapes.py, with Pillow."""

import math
import pathlib
import random

from PIL import Image, ImageDraw

SIZE = 64
CORNERS = {"circle": 0, "square": 4, "triangle": 3}


def draw(shape: str, seed: int) -> Image.Image:
    chance = random.Random(f"{shape} {seed}")
    light = tuple(chance.randint(225, 255) for _ in range(3))
    dark = tuple(chance.randint(20, 170) for _ in range(3))
    image = Image.new("RGB", (SIZE, SIZE), light)
    radius = chance.randint(14, 26)
    x, y = (chance.randint(radius, SIZE - radius) for _ in range(2))
    turn = chance.random() * math.tau
    pen = ImageDraw.Draw(image)
    corners = CORNERS[shape]
    if corners:
        angles = [turn + math.tau * corner / corners for corner in range(corners)]
        pen.polygon([(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles], fill=dark)
    else:
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=dark)
    return image.quantize(8)


for shape in CORNERS:
    for number in range(1, 5):
        split = "test" if number == 4 else "train"
        path = pathlib.Path(__file__).parent / "shapes" / split / shape / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(shape, number).save(path, optimize=True)
