"""Who may see and do what: roles hold permissions (``metadata/roles.yaml``); asked below every callback and endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from warehouse.catalogue import MetadataError, load_yaml


class Forbidden(PermissionError):
    """The user may not do this."""


@dataclass(frozen=True)
class Role:
    """A role with its names and permissions."""

    id: str
    name_zh: str
    name_en: str
    permissions: frozenset[str]


@dataclass(frozen=True)
class User:
    """Somebody who asks: name, role, organisation and area; no password in it."""

    name: str
    role: str
    organisation: str = ""
    area: str = "city"


@cache
def roles() -> Mapping[str, Role]:
    """Roles by id; each permission they hold is one of the file's list."""
    data = load_yaml("roles")
    known = data["permissions"]
    listed = data["roles"]
    assert isinstance(known, dict) and isinstance(listed, dict)
    found = {}
    for role_id, card in listed.items():
        strange = set(card["permissions"]) - set(known)
        if strange:
            raise MetadataError(f"roles.yaml: role {role_id} holds unknown permissions {sorted(strange)}")
        found[role_id] = Role(role_id, card["name_zh"], card["name_en"], frozenset(card["permissions"]))
    return found


def may(user: User | None, permission: str) -> bool:
    """Whether a user (nobody: the public, which holds nothing unless enabled) has a permission."""
    if user is None:
        return False
    role = roles().get(user.role)
    return role is not None and permission in role.permissions


def require(user: User | None, permission: str) -> User:
    """The user, if they have the permission.

    Raises
    ------
    Forbidden
        Otherwise; names the permission, nothing else.
    """
    if user is None or not may(user, permission):
        raise Forbidden(f"没有权限 / not permitted: {permission}")
    return user
