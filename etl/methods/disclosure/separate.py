"""When linked tables over two classifications may be protected one after the other instead of jointly."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from etl.methods.registry import method


@method("disclosure.separable")
def separable(left: Sequence[str], right: Sequence[str], group: Sequence[str]) -> dict[str, bool]:
    r"""Groups within which a figure known from both sides can only be the group's total.

    One set of tables sums contributions by functions :math:`f` of ``left`` (class × district × size, say), the other by
    functions :math:`g` of ``right`` (domain) and ``group`` (branch, itself a function of ``left``). What both say, a
    combination of rows with :math:`f = g` on every contribution, is constant within a group if ``left`` and ``right``
    codes of the group, joined where a contribution has both, form one connected graph. Then neither set tells more about
    the other than the group totals do. If those are published on both sides, no unsafe cell of either set is a combination of published
    cells of the two: joint protection against exact disclosure is protection apart. Bounds are not covered.

    Parameters
    ----------
    left, right, group
        Codes of each contribution that is not zero, of one length.

    Returns
    -------
    dict
        Group → whether its graph is connected.
    """
    if not len(left) == len(right) == len(group):
        raise ValueError(f"codes of unequal length: {len(left)}, {len(right)}, {len(group)}")
    lefts, rights, groups = np.asarray(left, str), np.asarray(right, str), np.asarray(group, str)
    result = {}
    for name in np.unique(groups):
        here = groups == name
        _, a = np.unique(lefts[here], return_inverse=True)
        _, b = np.unique(rights[here], return_inverse=True)
        size = int(a.max()) + int(b.max()) + 2
        edges = coo_array((np.ones(a.size), (a, b + int(a.max()) + 1)), shape=(size, size))
        count, _ = connected_components(edges, directed=False)
        result[str(name)] = count == 1
    return result
