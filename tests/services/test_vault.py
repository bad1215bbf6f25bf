"""Sealing: only the right key opens, only in the right place, and only what was sealed."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from services.vault import SealBroken, Vault

KEY, OLD_KEY = bytes(range(32)), bytes(range(32, 64))
PLACE = "provider_keys:sealed_secret:pk_1"


@given(st.binary(max_size=300))
def test_what_is_sealed_opens(secret: bytes) -> None:
    vault = Vault(KEY)
    sealed = vault.seal(secret, PLACE)
    assert vault.open(sealed, PLACE) == secret
    assert len(secret) < 4 or secret not in sealed


def test_sealing_twice_gives_two_ciphertexts() -> None:
    vault = Vault(KEY)
    assert len({vault.seal(b"secret", PLACE) for _ in range(100)}) == 100


@given(st.data())
def test_any_altered_byte_breaks_the_seal(data: st.DataObject) -> None:
    vault = Vault(KEY)
    sealed = bytearray(vault.seal(b"a device's secret", PLACE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        vault.open(bytes(sealed), PLACE)


@given(st.binary(max_size=80))
def test_noise_does_not_open(noise: bytes) -> None:
    with pytest.raises(SealBroken):
        Vault(KEY).open(noise, PLACE)


def test_every_shortened_ciphertext_is_refused() -> None:
    vault = Vault(KEY)
    sealed = vault.seal(b"secret", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(SealBroken):
            vault.open(sealed[:length], PLACE)


@pytest.mark.parametrize("place", ["provider_keys:sealed_secret:pk_2", "devices:sealed_secret:pk_1", "", PLACE + " "])
def test_a_moved_ciphertext_does_not_open(place: str) -> None:
    vault = Vault(KEY)
    with pytest.raises(SealBroken):
        vault.open(vault.seal(b"secret", PLACE), place)


def test_the_previous_key_opens_but_does_not_seal() -> None:
    old, rotated, new = Vault(OLD_KEY), Vault(KEY, OLD_KEY), Vault(KEY)
    sealed = old.seal(b"secret", PLACE)
    assert rotated.open(sealed, PLACE) == b"secret"
    assert not rotated.is_current(sealed)
    again = rotated.seal(b"secret", PLACE)
    assert rotated.is_current(again) and new.open(again, PLACE) == b"secret"
    with pytest.raises(SealBroken):
        new.open(sealed, PLACE)


def test_the_jwt_key_is_derived_as_the_contract_says() -> None:
    expected = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"countersign/jwt/v1").derive(KEY)
    assert Vault(KEY).jwt_keys == [expected]
    assert Vault(KEY, OLD_KEY).jwt_keys == [expected, *Vault(OLD_KEY).jwt_keys]
