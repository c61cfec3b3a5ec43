"""A video call as Stream describes it."""

from __future__ import annotations

from typing import Any

from airflow_provider_streamtasks.sandbox.answers import nanoseconds

_LAYOUT = {"name": "spotlight", "external_app_url": "", "external_css_url": ""}
_SETTINGS: dict[str, Any] = {
    "audio": {
        "access_request_enabled": True,
        "default_device": "speaker",
        "hifi_audio_enabled": False,
        "mic_default_on": True,
        "opus_dtx_enabled": True,
        "redundant_coding_enabled": True,
        "speaker_default_on": True,
    },
    "backstage": {"enabled": False},
    "broadcasting": {
        "enabled": False,
        "hls": {"auto_on": False, "enabled": False, "quality_tracks": [], "layout": _LAYOUT},
        "rtmp": {"enabled": False, "quality": "720p", "layout": _LAYOUT},
    },
    "encryption": {"mode": "disabled"},
    "frame_recording": {"mode": "disabled", "capture_interval_in_seconds": 2},
    "geofencing": {"names": []},
    "individual_recording": {"mode": "disabled"},
    "limits": {"max_participants_exclude_roles": []},
    "raw_recording": {"mode": "disabled"},
    "recording": {"audio_only": False, "mode": "available", "quality": "720p", "layout": _LAYOUT},
    "ring": {
        "auto_cancel_timeout_ms": 15000,
        "incoming_call_timeout_ms": 15000,
        "missed_call_timeout_ms": 15000,
    },
    "screensharing": {"enabled": True, "access_request_enabled": True},
    "session": {"inactivity_timeout_seconds": 30},
    "thumbnails": {"enabled": False},
    "transcription": {"mode": "disabled", "closed_caption_mode": "disabled", "language": "auto"},
    "video": {
        "access_request_enabled": True,
        "camera_default_on": True,
        "camera_facing": "front",
        "enabled": True,
        "target_resolution": {"width": 1280, "height": 720},
    },
}


def call(type_: str, id_: str, now: float) -> dict[str, Any]:
    """A call with the default settings, made just now (Unix seconds) by the sandbox."""
    time = nanoseconds(now)
    return {
        "type": type_,
        "id": id_,
        "cid": f"{type_}:{id_}",
        "created_at": time,
        "updated_at": time,
        "created_by": _user("sandbox", time),
        "current_session_id": "",
        "custom": {},
        "blocked_user_ids": [],
        "backstage": False,
        "captioning": False,
        "recording": False,
        "transcribing": False,
        "translating": False,
        "settings": _SETTINGS,
        "ingress": {
            "rtmp": {"address": f"rtmps://127.0.0.1/{type_}/{id_}"},
            "srt": {"address": ""},
            "whip": {"address": ""},
        },
        "egress": {"broadcasting": False, "rtmps": []},
    }


def _user(id_: str, time: int) -> dict[str, Any]:
    return {
        "id": id_,
        "role": "admin",
        "language": "",
        "teams": [],
        "custom": {},
        "banned": False,
        "shadow_banned": False,
        "online": False,
        "invisible": False,
        "blocked_user_ids": [],
        "created_at": time,
        "updated_at": time,
    }
