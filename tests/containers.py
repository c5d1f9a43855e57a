"""Audio files made by hand, byte by byte, with chunks of one's own; nothing of `mnmf` is used for it."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile as sf

OF_WAVE = bytes.fromhex("f3acd3118cd100c04f8edb8a")
W64 = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}


def sound(subtype, n_samples, channels=1, seed=0):
    """Any samples of a format, its extremes among them: integers (L, M), or floats."""
    rng = np.random.default_rng(seed)
    if subtype in ("FLOAT", "DOUBLE"):
        return rng.standard_normal((n_samples, channels)).astype("f4" if subtype == "FLOAT" else "f8")
    top = 2 ** (BITS[subtype] - 1)
    values = rng.integers(-top, top, (n_samples, channels))
    values[:2] = [[-top], [top - 1]][:n_samples]
    return values


def scaled(values, subtype):
    """Those samples as floats of a full scale of 1."""
    return values.astype(float) / (1 if subtype in ("FLOAT", "DOUBLE") else 2.0 ** (BITS[subtype] - 1))


def raw(values, subtype, big=False):
    """Those samples as bytes."""
    sign = ">" if big else "<"
    if subtype in ("FLOAT", "DOUBLE"):
        return values.astype(sign + ("f4" if subtype == "FLOAT" else "f8")).tobytes()
    width, offset = BITS[subtype] // 8, 128 if subtype == "PCM_U8" else 0
    order = "big" if big else "little"
    return b"".join(
        (int(value) + offset).to_bytes(width, order, signed=subtype != "PCM_U8") for value in values.reshape(-1)
    )


def chunk(name, content, order="<", pad=True, size=None):
    """A chunk of RIFF or AIFF."""
    size = len(content) if size is None else size
    return name + struct.pack(order + "I", size) + content + (b"\0" if pad and len(content) % 2 else b"")


def fmt(subtype, channels, rate, extensible=False, order="<", valid=None, mask=0):
    """What the chunk 'fmt ' says."""
    bits, tag = BITS[subtype], 3 if subtype in ("FLOAT", "DOUBLE") else 1
    block = channels * bits // 8
    numbers = struct.pack(order + "HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * block, block, bits)
    if extensible:
        guid = struct.pack(order + "I", tag) + bytes.fromhex("000010008000 00aa00389b71".replace(" ", ""))
        numbers += struct.pack(order + "HHI", 22, valid or bits, mask) + guid
    return numbers


def riff(data, described, before=(), after=(), magic=b"RIFF", size=None, data_size=None, pad=True, long=None):
    """A WAV file: chunks, 'fmt ', chunks, sound, chunks, where None among those before is the place of 'fmt '."""
    order = ">" if magic == b"RIFX" else "<"
    before = before if None in before else (*before, None)
    parts = [chunk(b"fmt ", described, order) if each is None else chunk(*each, order) for each in before]
    tail = b"".join(chunk(*each, order) for each in after)
    if magic in (b"RF64", b"BW64"):
        data_size = 0xFFFFFFFF if data_size is None else data_size
        total = 4 + 36 + sum(map(len, parts)) + 8 + len(data) + len(data) % 2 * pad + len(tail)
        block = struct.unpack_from("<H", described, 12)[0]
        long = (total, len(data), len(data) // block) if long is None else long
        parts.insert(0, chunk(b"ds64", struct.pack("<QQQI", *long, 0)))
        size = 0xFFFFFFFF if size is None else size
    body = b"WAVE" + b"".join(parts) + chunk(b"data", data, order, pad, data_size) + tail
    return magic + struct.pack(order + "I", len(body) if size is None else size) + body


def w64(data, described, before=(), after=(), data_size=None, pad=True):
    """A Wave64 file, its last chunk padded or not."""

    def one(name, content, size=None):
        name = name + OF_WAVE if len(name) == 4 else name
        size = len(content) + 24 if size is None else size
        return name + struct.pack("<Q", size) + content + bytes(-len(content) % 8)

    before = before if any(name is None for name, _ in before) else (*before, (None, b""))
    body = b"".join(one(b"fmt ", described) if name is None else one(name, content) for name, content in before)
    body += one(b"data", data, data_size) + b"".join(one(*each) for each in after)
    if not (pad or after):
        body = body[: len(body) - -len(data) % 8]
    return W64 + struct.pack("<Q", 40 + len(body)) + b"wave" + OF_WAVE + body


def extended(rate):
    """A whole number as a float of 80 bits."""
    length = rate.bit_length()
    return struct.pack(">HQ", 16383 + length - 1, rate << (64 - length))


def aiff(data, subtype, channels, rate, before=(), after=(), packing=None, data_size=None, count=None, pad=True):
    """An AIFF file, or with a type of packing one of AIFF-C."""
    block = channels * BITS[subtype] // 8
    count = len(data) // block if count is None else count
    comm = struct.pack(">hIh", channels, count, BITS[subtype]) + extended(rate)
    comm += b"" if packing is None else packing + b"\x05other"
    parts = (
        [*before, (b"COMM", comm)]
        if packing is None
        else [(b"FVER", struct.pack(">I", 0xA2805140)), *before, (b"COMM", comm)]
    )
    body = b"AIFF" if packing is None else b"AIFC"
    body += b"".join(chunk(*each, ">") for each in parts)
    body += chunk(b"SSND", bytes(8) + data, ">", pad, data_size) + b"".join(chunk(*each, ">") for each in after)
    return b"FORM" + struct.pack(">I", len(body)) + body


def caf(data, subtype, channels, rate, before=(), after=(), little=False, data_size=None):
    """A file in Core Audio Format."""

    def one(name, content, size=None):
        return name + struct.pack(">q", len(content) if size is None else size) + content

    bits, kind = BITS[subtype], (1 if subtype in ("FLOAT", "DOUBLE") else 0) | (2 if little else 0)
    desc = struct.pack(">d4sIIIII", rate, b"lpcm", kind, channels * bits // 8, 1, channels, bits)
    parts = [one(b"desc", desc), *(one(*each) for each in before), one(b"data", bytes(4) + data, data_size)]
    return b"caff\0\1\0\0" + b"".join(parts) + b"".join(one(*each) for each in after)


def au(data, subtype, channels, rate, note=b"", little=False, data_size=None):
    """An AU file."""
    encoding = {"PCM_S8": 2, "PCM_16": 3, "PCM_24": 4, "PCM_32": 5, "FLOAT": 6, "DOUBLE": 7}[subtype]
    size = len(data) if data_size is None else data_size
    sign = "<" if little else ">"
    return (
        (b"dns." if little else b".snd")
        + struct.pack(sign + "5I", 24 + len(note), size, encoding, rate, channels)
        + note
        + data
    )


def flac(values, subtype, rate, blocks=(), total=None):
    """A FLAC file with further blocks of metadata, and if said with another number of samples in its header."""
    file = io.BytesIO()
    sf.write(file, (values << (32 - BITS[subtype])).astype(np.int32), rate, subtype, format="FLAC")
    info, found, frames = flac_blocks(file.getvalue())
    if total is not None:
        packed = int.from_bytes(info[10:18], "big") >> 36 << 36 | total
        info = info[:10] + packed.to_bytes(8, "big") + info[18:]
    every = [(0, info), *(blocks or found)]
    heads = [
        bytes([kind | 0x80 * (i == len(every) - 1)]) + len(each).to_bytes(3, "big") + each
        for i, (kind, each) in enumerate(every)
    ]
    return b"fLaC" + b"".join(heads) + frames


def flac_blocks(data):
    """STREAMINFO, the other blocks of metadata, and the frames of a FLAC file."""
    at, blocks, last = 4, [], False
    while not last:
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        blocks.append((data[at] & 0x7F, data[at + 4 : at + 4 + size]))
        last, at = data[at] >= 0x80, at + 4 + size
    return blocks[0][1], blocks[1:], data[at:]


def chunks_of(data):
    """Names and contents of all chunks of a file in their order; sizes and padding must be right to the byte."""
    found = []
    if data[:4] == b"caff":
        at, head, size_of, pad = 8, 12, lambda h: struct.unpack(">q", h[4:])[0], 1
    elif data[:4] == b"riff":
        assert struct.unpack("<Q", data[16:24])[0] == len(data)
        at, head, size_of, pad = 40, 24, lambda h: struct.unpack("<Q", h[16:])[0] - 24, 8
    else:
        order = "big" if data[:4] in (b"FORM", b"RIFX") else "little"
        long = data[:4] in (b"RF64", b"BW64")
        stated = struct.unpack("<Q", data[20:28])[0] if long else int.from_bytes(data[4:8], order)
        assert stated == len(data) - 8
        at, head, size_of, pad = 12, 8, lambda h: int.from_bytes(h[4:], order), 2
    while at < len(data):
        name, size = data[at : at + 4], size_of(data[at : at + head])
        if size == 0xFFFFFFFF:
            size = struct.unpack("<Q", data[28:36])[0]
        found.append((name, data[at + head : at + head + size]))
        at += head + size
        if data[:4] != b"riff" or at < len(data):  # Wave64 may end with sound
            assert data[at : at + -size % pad] == bytes(-size % pad)
            at += -size % pad
    assert at == len(data)
    return found
