import io
import os
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
import datasets
from PIL import Image

folder, streaming = sys.argv[1], sys.argv[2] == "1"
Image.init()
with tempfile.TemporaryDirectory() as cache:
    begin = time.perf_counter()
    rows = datasets.load_dataset("imagefolder", data_dir=folder, split="train", streaming=streaming, cache_dir=cache)
    for row in rows.take(100):
        image = row["image"]
        buffer = io.BytesIO()
        image.save(buffer, "JPEG" if image.mode in ("1", "L", "RGB", "CMYK") else "PNG")
    print(time.perf_counter() - begin)
