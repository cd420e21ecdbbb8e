import os
import random
import sys

from PIL import Image, ImageDraw

folder, count = sys.argv[1], int(sys.argv[2])
chance = random.Random(7)
color = lambda: tuple(chance.randrange(256) for _ in range(3))
for number in range(count):
    image = Image.new("RGB", (64, 64), color())
    pen = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = chance.randrange(48), chance.randrange(48)
        pen.rectangle([x, y, x + 16, y + 16], fill=color())
    place = os.path.join(folder, "train", f"class{number % 10}")
    os.makedirs(place, exist_ok=True)
    # Half of each, as folders of photographs and drawings are.
    image.save(os.path.join(place, f"{number:06}." + ("jpg" if number % 2 else "png")))
