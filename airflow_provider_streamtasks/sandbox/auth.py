"""Who may call: the checks of Stream's edge, in its order, with its codes and texts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from airflow_provider_streamtasks.sandbox.answers import Refusal

# Claim, Stream's code, when it is violated, what Stream says.
_TIMES: tuple[tuple[str, int, Callable[[float, float], bool], str], ...] = (
    ("exp", 40, operator.le, "token is expired (exp)"),
    ("nbf", 41, operator.gt, "token is not valid yet (nbf)"),
    ("iat", 42, operator.gt, "token used before issue at (iat)"),
)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Checks the API key and the token of a request.

    :param api_key: the only key that exists in this sandbox.
    :param api_secret: the secret that tokens must be signed with (HS256).
    :param clock: Unix time in seconds.
    """

    api_key: str
    api_secret: str
    clock: Callable[[], float]

    def check(self, query: Mapping[str, str], headers: Mapping[str, str]) -> None:
        """Let a server-side request pass.

        :raises Refusal: 401 for a wrong key or token, 403 for a user's token.
        """
        api_key = query.get("api_key")
        if not api_key:
            raise Refusal(401, 2, "api_key or app_id not provided")
        if api_key != self.api_key:
            raise Refusal(401, 2, "api_key not valid")
        if headers.get("stream-auth-type") != "jwt":
            raise Refusal(401, 5, "stream-auth-type missing or invalid")
        claims = self.claims(headers.get("Authorization", ""))
        # A server token is one that names no user: `{}` and `{"server": true}` are both in use.
        if "user_id" in claims:
            raise Refusal(
                403, 17, f"user '{claims['user_id']}' may not do this: it is a server-side operation"
            )

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature and times hold.

        :raises Refusal: 401, with the code that tells which check failed.
        """
        if not token:
            raise Refusal(401, 5, "JWTAuth error: token not provided")
        if token.lower().startswith("bearer "):
            raise Refusal(401, 5, "JWTAuth error: tokenstring should not contain 'bearer '")
        try:
            # The times are checked below: each failure has a code of its own.
            claims: dict[str, Any] = jwt.decode(
                token,
                self.api_secret,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except jwt.InvalidSignatureError:
            raise Refusal(
                401,
                43,
                "JWTAuth error: signature is not valid. Make sure the token is created using the secret "
                f'for API key "{self.api_key}"',
            ) from None
        except jwt.InvalidTokenError as error:
            raise Refusal(401, 5, f"JWTAuth error: {error}") from None
        now = self.clock()
        for claim, code, wrong, reason in _TIMES:
            moment = claims.get(claim)
            if moment is None:
                continue
            if not isinstance(moment, (int, float)):
                raise Refusal(401, 5, f"JWTAuth error: {claim} is not a number")
            if wrong(moment, now):
                raise Refusal(401, code, f"JWTAuth error: {reason}")
        return claims

    def verdict(self, headers: Mapping[str, str]) -> str:
        """What the journal says of the ``Authorization`` header: ``valid``, ``invalid`` or ``absent``."""
        if "Authorization" not in headers:
            return "absent"
        try:
            self.claims(headers["Authorization"])
        except Refusal:
            return "invalid"
        return "valid"
