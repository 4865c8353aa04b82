"""What can be said of a spec without trying: whether a node has what it asks for."""

from backends.protocol import Machine, Offer, SliverSpec


def problems(spec: SliverSpec, offer: Offer, *, has_begun: bool = False) -> list[str]:
    """Why a node could never make this, a sentence each: an image or a type it has not, more memory than there is.

    has_begun: whether it has begun from its image, which need not be offered any more then
    """
    if not isinstance(spec.shape, Machine):
        return []
    found = []
    image = next((image for image in offer.images if image.name == spec.shape.image), None)
    if has_begun:
        pass
    elif image is None:
        found.append(f"image {spec.shape.image!r} is not offered here")
    elif spec.shape.form not in image.forms:
        found.append(f"image {spec.shape.image!r} is not for sliver type {spec.shape.sliver_type!r}")
    if spec.shape.sliver_type not in {kind.name for kind in offer.sliver_types}:
        found.append(f"sliver type {spec.shape.sliver_type!r} is not offered here")
    if spec.shape.memory_mib > offer.capacity["memory_mib"]:
        found.append(f"{spec.shape.memory_mib} MiB of memory are more than there is in one place")
    return found
