"""``python -m console`` is ``nearline``, for children started with the same interpreter."""

from console.main import main

main()
