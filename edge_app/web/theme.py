"""Paper and ink with teal, over Gradio's Soft theme; ``style.css`` does the rest."""

from __future__ import annotations

import gradio as gr

_LIGHT = {
    "body_background_fill": "#f6f5f1",
    "background_fill_primary": "#ffffff",
    "background_fill_secondary": "#faf9f6",
    "block_background_fill": "#ffffff",
    "block_border_color": "#dedbd2",
    "block_label_text_color": "#4b5563",
    "block_title_background_fill": "transparent",
    "block_title_text_color": "#1c2430",
    "body_text_color": "#1c2430",
    "body_text_color_subdued": "#4b5563",
    "border_color_primary": "#dedbd2",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_secondary_background_fill": "#ffffff",
    "button_secondary_background_fill_hover": "#f0eee8",
    "checkbox_label_background_fill": "#ffffff",
    "checkbox_label_background_fill_selected": "*primary_700",
    "checkbox_label_border_color": "#dedbd2",
    "slider_color": "*primary_700",
    "table_even_background_fill": "#ffffff",
    "table_odd_background_fill": "#faf9f6",
}
_DARK = {
    "body_background_fill": "#0e1116",
    "background_fill_primary": "#171c24",
    "background_fill_secondary": "#12161d",
    "block_background_fill": "#171c24",
    "block_border_color": "#2b333f",
    "block_label_text_color": "#aeb8c4",
    "block_title_background_fill": "transparent",
    "block_title_text_color": "#e9edf2",
    "body_text_color": "#e9edf2",
    "body_text_color_subdued": "#aeb8c4",
    "border_color_primary": "#2b333f",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_secondary_background_fill": "#1e252f",
    "button_secondary_background_fill_hover": "#2b333f",
    "checkbox_label_background_fill": "#1e252f",
    "checkbox_label_background_fill_selected": "*primary_700",
    "checkbox_label_border_color": "#2b333f",
    "slider_color": "*primary_400",
    "table_even_background_fill": "#171c24",
    "table_odd_background_fill": "#1b212a",
}
_BOTH = {
    "block_border_width": "1px",
    "block_border_width_dark": "1px",
    "block_shadow": "none",
    "block_shadow_dark": "none",
    "block_title_padding": "0",
    "block_title_text_weight": "500",
    "checkbox_label_border_width": "1px",
    "checkbox_label_border_width_dark": "1px",
    "color_accent": "*primary_700",
}


def make_theme() -> gr.themes.Base:
    """The theme, with the visitor's own fonts and texts dark enough to be read."""
    dark = {f"{name}_dark": value for name, value in _DARK.items()}
    fonts = [gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")]
    return gr.themes.Soft(
        primary_hue="teal", neutral_hue="slate", radius_size="lg", font=fonts, font_mono=fonts
    ).set(**_LIGHT, **dark, **_BOTH)
