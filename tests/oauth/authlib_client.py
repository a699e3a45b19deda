"""Authlib in the life of one client, driven from authlib.test.mjs: reads one JSON object that says who the client is and what to do,
prints {"open"} when a person has to sign in and reads {"callback"}, and ends with {"done"}: what it saw.
"""

import json
import os
import sys

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, because everything stays on loopback here

from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc.jwk import ECKey, RSAKey


def say(message):
    print(json.dumps(message), flush=True)


def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit("nobody is listening any more")
    return json.loads(line)


def session_of(server, client):
    """A session that proves itself as the client registered, at each endpoint."""
    method = client["method"]
    secret = client.get("secret")
    if method == "private_key_jwt":
        key_type = ECKey if client["alg"].startswith("ES") else RSAKey
        secret = key_type.import_key(client["pem"])
    session = OAuth2Session(
        client["id"],
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        redirect_uri=client.get("redirect_uri"),
        code_challenge_method="S256",
    )
    session.trust_env = False  # no proxy of the machine
    if method == "private_key_jwt":
        # Addressed to the token endpoint whichever endpoint it is sent to, as OpenID Connect Core section 9 has it.
        session.register_client_auth_method(
            PrivateKeyJWT(server["token_endpoint"], headers={"kid": client["kid"]}, alg=client["alg"])
        )
    return session


def status_of_use(session, resource, initialize):
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    return session.post(resource, data=initialize, headers=headers, timeout=30).status_code


def error_of(action, *args, **more):
    try:
        action(*args, **more)
    except OAuthError as error:
        return error.error
    return None


def about(session, server, token):
    answer = session.introspect_token(server["introspection_endpoint"], token=token["access_token"], token_type_hint="access_token")
    return answer.json()


def live_as_person(session, server, task):
    verifier = generate_token(64)
    url, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=verifier, resource=task["resource"])
    say({"open": url})
    callback = hear()["callback"]
    tokens = session.fetch_token(
        server["token_endpoint"], authorization_response=callback, state=state, code_verifier=verifier, resource=task["resource"]
    )
    seen = {"first": dict(tokens), "first_use": status_of_use(session, task["resource"], task["initialize"])}
    tokens = session.refresh_token(server["token_endpoint"], refresh_token=tokens["refresh_token"], resource=task["resource"])
    seen |= {"next": dict(tokens), "next_use": status_of_use(session, task["resource"], task["initialize"])}
    seen["about"] = about(session, server, tokens)
    revoked = session.revoke_token(server["revocation_endpoint"], token=tokens["refresh_token"], token_type_hint="refresh_token")
    seen["revoked"] = revoked.status_code
    seen["revoked_use"] = status_of_use(session, task["resource"], task["initialize"])
    seen["refresh_after"] = error_of(session.refresh_token, server["token_endpoint"], refresh_token=tokens["refresh_token"])
    return seen


def live_as_service(session, server, task):
    tokens = session.fetch_token(server["token_endpoint"], grant_type="client_credentials", resource=task["resource"], scope="mcp")
    seen = {"first": dict(tokens), "first_use": status_of_use(session, task["resource"], task["initialize"])}
    seen["about"] = about(session, server, tokens)
    seen["revoked"] = session.revoke_token(server["revocation_endpoint"], token=tokens["access_token"]).status_code
    seen["revoked_use"] = status_of_use(session, task["resource"], task["initialize"])
    seen["about_after"] = about(session, server, tokens)
    return seen


def main():
    task = hear()
    # Authlib's own rules for the document (RFC 8414), but for those that want https.
    document = AuthorizationServerMetadata(task["metadata"])
    document.validate_issuer = document.validate_authorization_endpoint = document.validate_token_endpoint = lambda: None
    document.validate_registration_endpoint = lambda: None
    document.validate_revocation_endpoint = document.validate_introspection_endpoint = lambda: None
    document.validate()
    session = session_of(task["metadata"], task["client"])
    live = live_as_service if task["service"] else live_as_person
    say({"done": live(session, task["metadata"], task)})


main()
