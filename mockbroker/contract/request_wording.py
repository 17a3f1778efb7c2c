"""Chapter ``request`` in the terms of a profile: other methods, other forms of the body.

A function returns the parts of a clause that a profile words otherwise than RFC 6749.
"""

from __future__ import annotations

from mockbroker.contract.clause import Wording, provider, rfc
from mockbroker.contract.profile_words import argument_for, body_in_words, separator_in_words
from mockbroker.model.forms import FORM, JSON
from mockbroker.model.profile import Profile

__all__ = [
    "extra_words",
    "grant_words",
    "media_type_words",
    "method_words",
    "parameter_words",
    "scope_words",
]


def method_words(profile: Profile) -> Wording:
    """Return the words on the method."""
    if profile.method == "POST":
        return {} if profile.body == "form" else {"fix": _send_by(profile)}
    return {
        "title": f"requests a token by {profile.method}",
        "sources": (provider("method"),),
        "why": f"The token endpoint of this provider accepts only {profile.method}.",
        "fix": _send_by(profile),
    }


def _send_by(profile: Profile) -> str:
    """Return how a token request is sent, as an instruction."""
    place = body_in_words(profile)
    return f"Send the token request by {profile.method}, with its parameters in {place}."


def media_type_words(profile: Profile) -> Wording:
    """Return the words on the media type of the body."""
    if profile.allows_empty_body:
        wanted = FORM if profile.body == "form" else JSON
        return {
            "title": f"sends media type {wanted} (any case, parameters allowed), once, if the "
            "token request has a body",
            "sources": (provider("body"), rfc(9110, "8.3")),
            "why": "This provider needs no parameters, so that a token request needs no body. The "
            "broker reads the body of a request that has one by its media type.",
            "fix": "Send the token request without a body, or let the HTTP library encode it "
            f"({argument_for(profile)}), and do not set Content-Type yourself.",
        }
    if profile.body != "json":
        return {}
    return {
        "title": "sends media type application/json (any case, parameters allowed), once",
        "sources": (provider("body"),),
        "why": "The broker reads the body by its media type. Without one, or with that of a form, "
        "it does not find the parameters and refuses the request.",
        "fix": f"Let the HTTP library encode the JSON ({argument_for(profile)}), and do not set "
        "Content-Type yourself.",
    }


def grant_words(profile: Profile) -> Wording:
    """Return the words on the grant_type."""
    name, place = profile.parameter_names.grant_type, body_in_words(profile)
    pair = f"{name}={profile.grant_type}"
    if (pair, profile.body) == ("grant_type=client_credentials", "form"):
        return {}
    return {
        "title": f"sends {pair} exactly once, in {place}",
        "sources": (provider("grant_type", "parameter_names", "body"),),
        "why": f"Without exactly one parameter {name} in {place} there is nothing that the broker "
        "could grant.",
        "fix": f"Send {pair} once, in {place} ({argument_for(profile)}).",
    }


def scope_words(profile: Profile) -> Wording:
    """Return the words on a configured scope."""
    name, separator = profile.parameter_names.scope, separator_in_words(profile)
    if (name, profile.scope_separator, profile.scope_required) == ("scope", " ", False):
        return {}
    needed = ", and one in each token request" if profile.scope_required else ""
    return {
        "title": f"sends a configured scope as one parameter {name}, several values joined by "
        f"{separator}{needed}",
        "sources": (provider("scope_separator", "scope_required", "parameter_names"),),
        "why": f"A broker reads one parameter and splits it at {separator}. Values that are joined "
        "in another way, or repeated parameters, are an unknown scope or a part of the configured "
        "one.",
        "fix": f"Send the configured values as one parameter {name}, joined by {separator}.",
    }


def parameter_words(profile: Profile) -> Wording:
    """Return the words on what the profile requires."""
    names = [*profile.parameters, *profile.open_parameters]
    counted = (("parameter", names), ("header field", [*profile.required_headers]))
    wanted = " and ".join(
        f"the {noun}{'s' * (len(each) > 1)} {', '.join(each)}" for noun, each in counted if each
    )
    pages = provider("parameters", "open_parameters", "required_headers")
    return {
        "title": f"sends what the provider requires, once each: {wanted}",
        "sources": (pages, rfc(8707, "2")) if "resource" in names else (pages,),
        "fix": f"Take {wanted} from the configuration, and send each of them once with every token "
        "request, also with a refresh.",
    }


def extra_words(profile: Profile) -> Wording:
    """Return the words on what the profile does not ask for."""
    if profile.body == "form" and list(profile.example_parameters) == ["grant_type"]:
        return {}
    place = "query" if profile.body == "query" else "body"
    own = [name for name in profile.example_parameters if name != profile.parameter_names.scope]
    names = ", ".join(own) or "the credentials"
    return {
        "title": f"sends nothing else in the {place} but what the provider requires, and a "
        "configured scope",
        "fix": f"Send only {names}, and a scope if one is configured. Make everything else an "
        "option that is off by default.",
    }
