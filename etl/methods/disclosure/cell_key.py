"""Cell-key perturbation of counts: the same contributors get the same noise in whatever table they meet."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.noise import PerturbationTable
from etl.methods.disclosure.problem import ProblemError
from etl.methods.registry import method

IntArray = NDArray[np.int64]
KeyArray = NDArray[np.uint64]
#: Shortest secret in bytes: shorter ones can be tried out.
SECRET: Final = 16


@dataclass(frozen=True)
class Perturbed:
    """By cell: true count, cell key (64 bits, as a fraction of 1), noise, shape ``(cells,)`` each. Not additive."""

    table: PerturbationTable
    counts: IntArray
    keys: KeyArray
    noise: IntArray

    @property
    def perturbed(self) -> IntArray:
        """What is released, shape ``(cells,)``."""
        return self.counts + self.noise

    @property
    def rows(self) -> IntArray:
        """Row of the perturbation table that holds the distribution of a cell's noise, shape ``(cells,)``."""
        return np.minimum(self.counts, self.table.classes - 1)


def record_keys(contributors: Sequence[str], secret: bytes) -> KeyArray:
    """Key of every contributor: the first 64 bits of HMAC-SHA-256 under the secret, shape ``(contributors,)``.

    Raises
    ------
    ProblemError
        For a secret below 16 bytes.
    """
    if len(secret) < SECRET:
        raise ProblemError(f"密钥过短 / the secret has {len(secret)} bytes; expected {SECRET} or more")
    digests = [hmac.digest(secret, c.encode(), "sha256")[:8] for c in contributors]
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)


@method("disclosure.cell_key")
def cell_key(members: csr_array, keys: KeyArray, table: PerturbationTable) -> Perturbed:
    """Perturb the number of contributors of every cell.

    Parameters
    ----------
    members
        Cells × contributors; other than 0 where the contributor belongs to the cell, however often.
    keys
        Keys of the contributors as of :func:`record_keys`, shape ``(contributors,)``.
    table
        Noise by count, as of :func:`noise.perturbation_table`.

    Returns
    -------
    Perturbed
        Cell keys are sums of record keys modulo 1; noise is looked up by count and key.

    Raises
    ------
    ProblemError
        For as many keys as not contributors.

    Notes
    -----
    B. Fraser, J. Wooton (2005); J. Marley, V. Leaver (2011); G. Thompson, S. Broadfoot, D. Elazar (2013).
    """
    if members.shape[1] != keys.size:
        raise ProblemError(
            f"密钥数不符 / {keys.size} record keys for {members.shape[1]} contributors; expected as many"
        )
    once = csr_array(members, copy=True)
    once.sum_duplicates()
    once.eliminate_zeros()
    # Sums of unsigned 64-bit numbers wrap around: this is the sum modulo 1 of the fractions.
    ones = csr_array((np.ones(once.nnz, dtype=np.uint64), once.indices, once.indptr), shape=once.shape)
    counts = np.diff(once.indptr).astype(np.int64)
    sums: KeyArray = ones @ keys
    return Perturbed(table, counts, sums, table.draw(counts, sums))
