"""What the containers of photos say beside the pixels: directories of TIFF, chunks of PNG, boxes of HEIC and AVIF."""
