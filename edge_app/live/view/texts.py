"""Every sentence of the page, in English and Indonesian."""

from __future__ import annotations

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


def language_of(chosen: str | None, accepted: str) -> str:
    """The language of a visitor: the chosen one, else the first that the browser accepts.

    >>> language_of(None, "id-ID,id;q=0.9,en;q=0.8")
    'id'
    """
    for name in (chosen or "", *(part.split(";")[0] for part in accepted.split(","))):
        if (language := name.strip().lower().split("-")[0]) in TEXTS:
            return language
    return "en"
