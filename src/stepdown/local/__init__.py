"""The local room: the only one that imports mlx. Import its modules by name, when local work starts.

Whichever of them comes first, the BLAS comes before it: mlx multiplies with what it finds when it is imported, and its own is
many times slower.
"""

from contextlib import suppress

from stepdown.errors import LocalError
from stepdown.local.blas import load_blas

with suppress(LocalError):  # A wish that cannot be had: whoever multiplies asks again, and says so.
    load_blas()
