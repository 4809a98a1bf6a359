"""Every sentence of the page, in English and Indonesian."""

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Is the person in this picture smoking?",
        "lead": "A small model looks at your picture on the machine that serves this page. "
        "Nothing is sent on to anybody else.",
        "brand": "Smoking gesture detector",
        "language": "English",
        "languages": "Language",
        "fact_size": "A model of {megabytes} MB",
        "fact_here": "Works without a network",
        "fact_kept": "Your pictures stay yours",
        "tab_picture": "Picture",
        "tab_live": "Live",
        "tab_batch": "Batch",
        "tab_history": "History",
        "tab_about": "About",
        "picture": "Your picture",
        "picture_note": "Drop a picture, choose one, paste it with Ctrl+V, or take one.",
        "examples": "Or try one of these",
        "empty": "The answer appears here as soon as there is a picture.",
        "strength": "Strength of the evidence map",
        "Smoking": "Smoking",
        "NotSmoking": "Not smoking",
        "Uncertain": "Uncertain",
        "confidence": "confidence",
        "means_found": "The model sees a gesture as of smoking. It sees gestures, not "
        "cigarettes: a straw, a pen or a phone at the mouth can look the same.",
        "means_clear": "The model sees no gesture of smoking. A small or hidden cigarette "
        "can escape it.",
        "means_unsure": "At this score the model is often wrong. Look for yourself; neither "
        "answer should be relied on.",
        "evidence_alt": "Your picture. Red speaks for smoking, blue against it.",
        "evidence_legend": "Red speaks for smoking, blue against it.",
        "took": "Answered in {ms} ms by {model}",
        "live_note": "Your browser's camera, classified as it streams to the machine that serves "
        "this page. The state is smoothed over time. No frame is stored.",
        "live_camera": "Camera",
        "live_empty": "Start the camera to see the state here.",
        "live_state": "State",
        "live_score": "Score for smoking, smoothed",
        "live_time": "The last {count} scores. Inside the band the state is uncertain.",
        "batch_files": "Pictures, or a ZIP of pictures",
        "batch_limits": "At most {count} pictures of {mb} MB and {mp} megapixels each, ZIP "
        "files of {zip_mb} MB, and {minutes} minutes of work. Sort by a column's menu (⋮).",
        "batch_run": "Classify them",
        "batch_table": "Results",
        "batch_none": "Choose pictures or a ZIP file first.",
        "batch_more": "Only the first {count} pictures were classified.",
        "batch_late": "Time is up: only the first {count} pictures were classified.",
        "csv": "Download as CSV",
        "file": "file",
        "answer": "answer",
        "error": "problem",
        "unreadable": "Could not be read",
        "history_note": "The last {count} pictures of this visit. Only you see them; they are "
        "kept in memory as thumbnails and gone when you clear them, reload or leave. What you "
        "upload is deleted from the server's disk within {minutes} minutes.",
        "history_filter": "Show",
        "history_empty": "Nothing here yet.",
        "history_clear": "Clear the history",
        "all": "All",
        "about_model": "The model",
        "about_runs": "{name} {version}, {size} x {size} pixels, {megabytes} MB, run by {runtime}",
        "about_figures": "How good it is",
        "about_figures_note": "On pictures that were not trained on.",
        "pictures": "pictures",
        "about_accuracy": "accuracy",
        "about_recall": "smoking found",
        "about_false": "false alarms",
        "about_set": "set",
        "about_limits": "Limits",
        "about_limits_text": "It errs, most of all on gestures near the mouth such as drinking or "
        "phoning, on small figures and on drawings. It is made for learning and tinkering. Do not "
        "decide anything about a person by it; it is no surveillance system.",
        "about_card": "Known failures, from the model card",
        "about_privacy": "Privacy",
        "about_privacy_text": "No account, no tracking, no cookies beyond a login where one was "
        "asked for. The page loads nothing from other servers and works without a network.",
        "threshold": "Called smoking from a score of {threshold} on.",
        "band": "Scores from {low} to {high} are shown as uncertain.",
        "error_picture": "This file {reason}.",
        "is empty": "is empty",
        "is no picture in a known format": "is no picture in a known format",
        "is damaged or cut short": "is damaged or cut short",
        "error_large": "This file is larger than {mb} MB. Choose a smaller one.",
        "error_pixels": "This picture has more than {mp} megapixels. Choose a smaller one.",
        "error_pixels_full": "This picture has more than {mp_full} megapixels. Choose a smaller "
        "one, or a JPEG of up to {mp}.",
        "error_scans": "This JPEG is made so that it takes very long to read. Save it anew, then "
        "try again.",
        "error_zip": "This ZIP file is damaged, protected by a password, or packed in an unusual "
        "way.",
        "error_zip_names": "This ZIP file holds too many files.",
        "error_uploads": "Only uploaded pictures are read.",
        "error_gone": "This file is no longer here: uploads are deleted soon. Upload it again.",
        "error_upload": "The server takes at most {mb} MB at once.",
        "error_disk": "The server's disk is full. Please come again later.",
    },
    "id": {
        "title": "Apakah orang di gambar ini sedang merokok?",
        "lead": "Sebuah model kecil melihat gambar Anda di mesin yang menyajikan halaman ini. "
        "Tidak ada yang diteruskan kepada pihak lain.",
        "brand": "Pendeteksi gerakan merokok",
        "language": "Indonesia",
        "languages": "Bahasa",
        "fact_size": "Model sebesar {megabytes} MB",
        "fact_here": "Berfungsi tanpa jaringan",
        "fact_kept": "Gambar Anda tetap milik Anda",
        "tab_picture": "Gambar",
        "tab_live": "Langsung",
        "tab_batch": "Massal",
        "tab_history": "Riwayat",
        "tab_about": "Tentang",
        "picture": "Gambar Anda",
        "picture_note": "Seret gambar, pilih, tempel dengan Ctrl+V, atau ambil foto.",
        "examples": "Atau coba salah satu dari ini",
        "empty": "Jawaban muncul di sini begitu ada gambar.",
        "strength": "Kekuatan peta bukti",
        "Smoking": "Merokok",
        "NotSmoking": "Tidak merokok",
        "Uncertain": "Tidak pasti",
        "confidence": "keyakinan",
        "means_found": "Model melihat gerakan seperti merokok. Yang dilihat adalah gerakan, "
        "bukan rokok: sedotan, pena, atau telepon di dekat mulut bisa tampak sama.",
        "means_clear": "Model tidak melihat gerakan merokok. Rokok yang kecil atau "
        "tersembunyi bisa luput.",
        "means_unsure": "Pada skor ini model sering salah. Lihatlah sendiri; kedua jawaban "
        "tidak dapat diandalkan.",
        "evidence_alt": "Gambar Anda. Merah mendukung merokok, biru menentangnya.",
        "evidence_legend": "Merah mendukung merokok, biru menentangnya.",
        "took": "Dijawab dalam {ms} ms oleh {model}",
        "live_note": "Kamera peramban Anda, diklasifikasi selagi mengalir ke mesin yang "
        "menyajikan halaman ini. Keadaannya dihaluskan menurut waktu. Tidak ada bingkai yang "
        "disimpan.",
        "live_camera": "Kamera",
        "live_empty": "Nyalakan kamera untuk melihat keadaannya di sini.",
        "live_state": "Keadaan",
        "live_score": "Skor merokok, dihaluskan",
        "live_time": "{count} skor terakhir. Di dalam pita keadaannya tidak pasti.",
        "batch_files": "Gambar-gambar, atau ZIP berisi gambar",
        "batch_limits": "Paling banyak {count} gambar, masing-masing {mb} MB dan {mp} megapiksel, "
        "berkas ZIP {zip_mb} MB, dan {minutes} menit kerja. Urutkan lewat menu kolom (⋮).",
        "batch_run": "Klasifikasikan",
        "batch_table": "Hasil",
        "batch_none": "Pilih dahulu gambar atau berkas ZIP.",
        "batch_more": "Hanya {count} gambar pertama yang diklasifikasi.",
        "batch_late": "Waktu habis: hanya {count} gambar pertama yang diklasifikasi.",
        "csv": "Unduh sebagai CSV",
        "file": "berkas",
        "answer": "jawaban",
        "error": "masalah",
        "unreadable": "Tidak dapat dibaca",
        "history_note": "{count} gambar terakhir dari kunjungan ini. Hanya Anda yang melihatnya; "
        "disimpan di memori sebagai gambar kecil dan hilang saat Anda menghapusnya, memuat ulang, "
        "atau pergi. Yang Anda unggah dihapus dari cakram server dalam {minutes} menit.",
        "history_filter": "Tampilkan",
        "history_empty": "Belum ada apa-apa di sini.",
        "history_clear": "Hapus riwayat",
        "all": "Semua",
        "about_model": "Model",
        "about_runs": "{name} {version}, {size} x {size} piksel, {megabytes} MB, dijalankan oleh "
        "{runtime}",
        "about_figures": "Seberapa baik",
        "about_figures_note": "Pada gambar yang tidak dipakai saat pelatihan.",
        "pictures": "gambar",
        "about_accuracy": "akurasi",
        "about_recall": "merokok ditemukan",
        "about_false": "alarm palsu",
        "about_set": "kumpulan",
        "about_limits": "Batasan",
        "about_limits_text": "Model ini bisa keliru, terutama pada gerakan di dekat mulut seperti "
        "minum atau menelepon, pada sosok kecil, dan pada gambar tangan. Dibuat untuk belajar dan "
        "bereksperimen. Jangan memutuskan apa pun tentang seseorang dengannya; ini bukan sistem "
        "pengawasan.",
        "about_card": "Kegagalan yang diketahui, dari kartu model (bahasa Inggris)",
        "about_privacy": "Privasi",
        "about_privacy_text": "Tanpa akun, tanpa pelacakan, tanpa kuki selain untuk masuk bila "
        "diminta. Halaman ini tidak memuat apa pun dari server lain dan berfungsi tanpa jaringan.",
        "threshold": "Disebut merokok mulai dari skor {threshold}.",
        "band": "Skor dari {low} sampai {high} ditampilkan sebagai tidak pasti.",
        "error_picture": "Berkas ini {reason}.",
        "is empty": "kosong",
        "is no picture in a known format": "bukan gambar dalam format yang dikenal",
        "is damaged or cut short": "rusak atau terpotong",
        "error_large": "Berkas ini lebih besar dari {mb} MB. Pilih yang lebih kecil.",
        "error_pixels": "Gambar ini lebih dari {mp} megapiksel. Pilih yang lebih kecil.",
        "error_pixels_full": "Gambar ini lebih dari {mp_full} megapiksel. Pilih yang lebih kecil, "
        "atau JPEG sampai {mp}.",
        "error_scans": "JPEG ini dibuat sehingga sangat lama dibaca. Simpan ulang, lalu coba lagi.",
        "error_zip": "Berkas ZIP ini rusak, dilindungi kata sandi, atau dikemas dengan cara yang "
        "tidak lazim.",
        "error_zip_names": "Berkas ZIP ini berisi terlalu banyak berkas.",
        "error_uploads": "Hanya gambar yang diunggah yang dibaca.",
        "error_gone": "Berkas ini sudah tidak ada: unggahan segera dihapus. Unggah lagi.",
        "error_upload": "Server menerima paling banyak {mb} MB sekaligus.",
        "error_disk": "Cakram server penuh. Silakan datang lagi nanti.",
    },
}


def language_of(accepted: str | None) -> str:
    """The language of the page for a browser's ``Accept-Language``: the first that we have.

    >>> language_of("fr-FR,id;q=0.9,en;q=0.8")
    'id'
    """
    for item in (accepted or "").split(","):
        code = item.split(";")[0].split("-")[0].strip().lower()
        if code in TEXTS:
            return code
    return "en"


def text(language: str, key: str, **values: object) -> str:
    """A sentence in a language, with its values filled in. A label of another model is itself."""
    return TEXTS[language].get(key, key).format(**values)


def percent(language: str, share: float) -> str:
    """A share in [0, 1] for people, to a tenth of a percent, with the language's own comma.

    >>> percent("id", 0.8269)
    '82,7%'
    """
    return decimal(language, f"{share:.1%}")


def decimal(language: str, number: str) -> str:
    """A number in text with the language's own decimal mark."""
    return number.replace(".", ",") if language == "id" else number
