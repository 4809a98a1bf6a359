"""Every sentence of the page, in English and Indonesian."""

from __future__ import annotations

import re

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Smoking gesture detector",
        "language": "Bahasa Indonesia",
        "other": "id",
        "cameras": "Cameras",
        "events": "Events",
        "none": "No events yet.",
        "waiting": "Waiting for the first picture",
        "connected": "Connected",
        "lost": "Lost since {time}",
        "offline": "The detector does not answer. Trying again.",
        "clear": "Clear",
        "maybe": "Maybe",
        "smoking": "{label}",
        "Smoking": "Smoking",
        "uncertain": "uncertain",
        "score": "Score of the last 10 minutes",
        "evidence": "Evidence map",
        "noevidence": "This model has no evidence map.",
        "draw": "Draw a region",
        "drawnote": "Tap the corners of the region on the picture, at least three.",
        "only": "Look only here",
        "ignore": "Ignore this part",
        "undo": "Undo",
        "done": "Close",
        "copy": "Copy",
        "copied": "Copied",
        "restart": "Start the detector with this option:",
        "restart_toml": "Write this line for {name} in the file of --config, and restart:",
        "why_ended": "The camera stopped sending.",
        "why_silent": "The camera has sent no picture for {n} s.",
        "why_closed": "The camera cannot be opened. Check its address and that it is on.",
        "why_device": "The camera cannot be opened. Is it plugged in and not in use?",
        "why_refused": "The camera refuses the user name or password.",
        "why_account": "The camera asks for a user name and password.",
        "why_gone": "{device} is missing. Is the camera plugged in?",
        "why_permission": "This user may not use {device}.",
        "why_busy": "Another program is using the camera: {program}.",
        "stats": "{rate} frames per second, {latency} ms, {dropped} dropped",
        "lasting": "lasting",
        "seconds": "{n} s",
        "peak": "peak {n}",
        "clip": "Clip",
        "picture": "Picture of the event at {time}",
        "temperature": "Processor {n} °C",
        "live": "Live picture of {name}",
    },
    "id": {
        "title": "Pendeteksi gerakan merokok",
        "language": "English",
        "other": "en",
        "cameras": "Kamera",
        "events": "Kejadian",
        "none": "Belum ada kejadian.",
        "waiting": "Menunggu gambar pertama",
        "connected": "Terhubung",
        "lost": "Terputus sejak {time}",
        "offline": "Pendeteksi tidak menjawab. Mencoba lagi.",
        "clear": "Aman",
        "maybe": "Mungkin",
        "smoking": "{label}",
        "Smoking": "Merokok",
        "uncertain": "tidak pasti",
        "score": "Skor 10 menit terakhir",
        "evidence": "Peta bukti",
        "noevidence": "Model ini tidak punya peta bukti.",
        "draw": "Gambar area",
        "drawnote": "Ketuk sudut-sudut area pada gambar, paling sedikit tiga.",
        "only": "Hanya lihat area ini",
        "ignore": "Abaikan area ini",
        "undo": "Batalkan titik",
        "done": "Tutup",
        "copy": "Salin",
        "copied": "Tersalin",
        "restart": "Jalankan pendeteksi dengan opsi ini:",
        "restart_toml": "Tulis baris ini untuk {name} di file --config, lalu mulai ulang:",
        "why_ended": "Kamera berhenti mengirim gambar.",
        "why_silent": "Kamera tidak mengirim gambar selama {n} detik.",
        "why_closed": "Kamera tidak bisa dibuka. Periksa alamatnya dan apakah kamera menyala.",
        "why_device": "Kamera tidak bisa dibuka. Apakah terpasang dan tidak sedang dipakai?",
        "why_refused": "Kamera menolak nama pengguna atau kata sandi.",
        "why_account": "Kamera meminta nama pengguna dan kata sandi.",
        "why_gone": "{device} tidak ada. Apakah kamera terpasang?",
        "why_permission": "Pengguna ini tidak boleh memakai {device}.",
        "why_busy": "Program lain sedang memakai kamera: {program}.",
        "stats": "{rate} gambar per detik, {latency} md, {dropped} dilewati",
        "lasting": "sedang berlangsung",
        "seconds": "{n} dtk",
        "peak": "puncak {n}",
        "clip": "Klip",
        "picture": "Gambar kejadian pukul {time}",
        "temperature": "Prosesor {n} °C",
        "live": "Gambar langsung dari {name}",
    },
}

_REASONS = {
    "why_ended": r"the camera stopped sending",
    "why_silent": r"no picture for (?P<n>\d+) s",
    "why_closed": r"cannot be opened\. Check the address",
    "why_device": r"cannot be opened\. Is it plugged in",
    "why_refused": r"refuses the user name or password",
    "why_account": r"asks for a user name and password",
    "why_gone": r"there is no (?P<device>/dev/\w+)",
    "why_permission": r"no permission to use (?P<device>/dev/\w+)",
    "why_busy": r"is in use by (?P<program>.+)\. Stop that program",
}


def reason_of(reason: str) -> dict[str, str]:
    """Why a camera is lost: the key of a sentence with its values, or only the text as it is.

    >>> reason_of("no picture for 5 s")
    {'text': 'no picture for 5 s', 'key': 'why_silent', 'n': '5'}
    """
    for key, pattern in _REASONS.items():
        if match := re.search(pattern, reason):
            return {"text": reason, "key": key, **match.groupdict()}
    return {"text": reason}


def language_of(chosen: str | None, accepted: str) -> str:
    """The language of a visitor: the chosen one, else the first that the browser accepts.

    >>> language_of(None, "id-ID,id;q=0.9,en;q=0.8")
    'id'
    """
    for name in (chosen or "", *(part.split(";")[0] for part in accepted.split(","))):
        if (language := name.strip().lower().split("-")[0]) in TEXTS:
            return language
    return "en"
