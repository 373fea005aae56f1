"""A phone in someone's hand: everything that a person does in the chat, and the links tapped.

Made by ``Sandbox.phone``; the control API calls the same methods by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devtools.wechat_sandbox import events
from devtools.wechat_sandbox.browser import Form, Page
from devtools.wechat_sandbox.courier import Delivery
from devtools.wechat_sandbox.envelopes import Fields
from devtools.wechat_sandbox.phone_actions import AccountActions
from devtools.wechat_sandbox.phones import PhoneState
from devtools.wechat_sandbox.refusals import ActionError

if TYPE_CHECKING:
    from devtools.wechat_sandbox.sandbox import Sandbox

PHOTO = b"\xff\xd8\xff\xe0sandbox photo\xff\xd9"
VOICE = b"#!AMR\nsandbox voice"
VIDEO = b"\x00\x00\x00\x18ftypmp42sandbox video"


class Phone(AccountActions):
    """One phone. Each action returns its Delivery; ``Sandbox.wait`` waits for its end."""

    def __init__(self, sandbox: Sandbox, openid: str) -> None:
        self._sandbox = sandbox
        self.openid = sandbox.phones.get(openid).openid

    @property
    def following(self) -> bool:
        """Whether this person follows the account."""
        return self._state.following

    def inbox(self, after: int = 0) -> list[dict[str, Any]]:
        """Everything that the screen shows, oldest first."""
        return self._sandbox.phones.inbox(self.openid, after)

    def cards(self) -> list[dict[str, Any]]:
        """The template cards on the screen."""
        return [item for item in self.inbox() if item["kind"] == "template"]

    def text_messages(self) -> list[dict[str, Any]]:
        """The text messages (短信) that came."""
        return [item for item in self.inbox() if item["kind"] == "sms"]

    def mails(self) -> list[dict[str, Any]]:
        """The mails that came."""
        return [item for item in self.inbox() if item["kind"] == "mail"]

    def texts(self) -> list[str]:
        """The texts that the account wrote, passive replies and customer service."""
        return [item["text"] for item in self.inbox() if item["kind"] in ("reply", "service")]

    def receipts_say(self, status: str) -> None:
        """From now on cards are not shown and receipts carry this status; success undoes it."""
        self._state.receipt_status = status

    def follow(self, scene: str = "", ticket: str = "") -> Delivery:
        """Follow, from the card of a person or (with a scene) by scanning a code."""
        self._state.following = True
        self._sandbox.desks.people.followed(self.openid, scene)
        self._notice("已关注该公众号")
        self._window("follow")
        if not scene:
            return self._event("subscribe", EventKey="")
        ticket = ticket or f"ticket_{scene}"
        return self._event("subscribe", EventKey=f"qrscene_{scene}", Ticket=ticket)

    def unfollow(self) -> Delivery:
        """Stop following; the account can write no more."""
        self._must_follow()
        self._state.following = False
        self._state.windows.clear()
        self._notice("已取消关注该公众号")
        return self._event("unsubscribe", shows=False, EventKey="")

    def scan(self, scene: str, ticket: str = "") -> Delivery:
        """Scan the account's code: SCAN when following, otherwise follow with the scene."""
        if not self.following:
            return self.follow(scene, ticket)
        self._window("scan")
        return self._event("SCAN", EventKey=scene, Ticket=ticket or f"ticket_{scene}")

    def scan_ticket(self, ticket: str) -> Delivery:
        """Scan a code that the account made with qrcode/create."""
        return self.scan(self._sandbox.desks.qr_codes.scene(ticket), ticket)

    def say(self, text: str) -> Delivery:
        """Write in the chat."""
        return self._message("text", text, {}, Content=text)

    def photo(self, content: bytes = PHOTO) -> Delivery:
        """Send a picture."""
        media = self._sandbox.media.add("image", content)
        url = f"{self._sandbox.base_url}/sandbox/media/{media.media_id}"
        return self._message("image", "[图片]", {"url": url}, PicUrl=url, MediaId=media.media_id)

    def voice(self, content: bytes = VOICE, seconds: int = 3) -> Delivery:
        """Send a voice message; ``seconds`` is only shown, the platform does not send it on."""
        media = self._sandbox.media.add("voice", content)
        shown = {"seconds": seconds}
        return self._message("voice", "[语音]", shown, MediaId=media.media_id, Format="amr")

    def video(self, content: bytes = VIDEO) -> Delivery:
        """Send a video."""
        media = self._sandbox.media.add("video", content)
        thumb = self._sandbox.media.add("thumb", PHOTO)
        url = f"{self._sandbox.base_url}/sandbox/media/{media.media_id}"
        return self._message(
            "video",
            "[视频]",
            {"url": url},
            MediaId=media.media_id,
            ThumbMediaId=thumb.media_id,
        )

    def location(
        self, latitude: float, longitude: float, label: str = "", scale: int = 15
    ) -> Delivery:
        """Send a place."""
        return self._message(
            "location",
            f"[位置] {label}",
            {"latitude": latitude, "longitude": longitude, "label": label},
            Location_X=latitude,
            Location_Y=longitude,
            Scale=scale,
            Label=label,
        )

    def link(self, title: str, description: str, url: str) -> Delivery:
        """Send a link."""
        return self._message(
            "link",
            f"[链接] {title}",
            {"title": title, "description": description, "url": url},
            Title=title,
            Description=description,
            Url=url,
        )

    def report_location(
        self, latitude: float, longitude: float, precision: float = 30.0
    ) -> Delivery:
        """The phone reports where it is, by itself."""
        fields = {"Latitude": latitude, "Longitude": longitude, "Precision": precision}
        return self.event("LOCATION", fields)

    def click(self, key: str) -> Delivery:
        """Tap a menu entry of type click; it must be there when a menu was created."""
        self._must_follow()
        self._sandbox.desks.menus.must_have("click", "key", key)
        self._window("menu")
        return self.event("CLICK", {"EventKey": key})

    def view(self, url: str, menu_id: str = "") -> Delivery:
        """Tap a menu entry of type view (only the event; ``open`` loads the page)."""
        self._sandbox.desks.menus.must_have("view", "url", url)
        return self.event("VIEW", {"EventKey": url, "MenuId": menu_id})

    def view_miniprogram(self, path: str, menu_id: str = "") -> Delivery:
        """Tap a menu entry that opens a mini-program."""
        return self.event("view_miniprogram", {"EventKey": path, "MenuId": menu_id})

    def scan_code(
        self, key: str, result: str, *, waits: bool = False, scan_type: str = "qrcode"
    ) -> Delivery:
        """Tap a menu entry that scans a code and sends what it holds."""
        self._window("menu")
        scanned = {"ScanType": scan_type, "ScanResult": result}
        name = "scancode_waitmsg" if waits else "scancode_push"
        return self.event(name, {"EventKey": key, "ScanCodeInfo": scanned})

    def pick_photos(self, key: str, md5s: list[str], event: str = "pic_sysphoto") -> Delivery:
        """Tap a menu entry that picks pictures (pic_sysphoto, pic_photo_or_album, pic_weixin)."""
        pictures = {"item": [{"PicMd5Sum": md5} for md5 in md5s]}
        return self.event(
            event, {"EventKey": key, "SendPicsInfo": {"Count": len(md5s), "PicList": pictures}}
        )

    def select_location(
        self, key: str, latitude: float, longitude: float, label: str = "", name: str = ""
    ) -> Delivery:
        """Tap a menu entry that picks a place; its values come as texts."""
        place = {
            "Location_X": str(latitude),
            "Location_Y": str(longitude),
            "Scale": "15",
            "Label": label,
            "Poiname": name,
        }
        return self.event("location_select", {"EventKey": key, "SendLocationInfo": place})

    def event(self, name: str, fields: Fields) -> Delivery:
        """Any other event. Lists go as ``{"SubscribeMsgPopupEvent": {"List": [...]}}``."""
        self._must_follow()
        return self._event(name, **fields)

    def pay(self) -> None:
        """Pay the account: opens its customer-service window; there is no callback for it."""
        self._window("payment")

    def upload(self, kind: str, content: bytes) -> str:
        """What a page does with the JSSDK (image or voice); returns the media id."""
        return self._sandbox.media.add(kind, content).media_id

    def open(self, url: str) -> Page:
        """Tap a link: follows redirects, through the web login too."""
        return self._sandbox.browser(self.openid).visit(url)

    def submit(self, url: str, form: Form) -> Page:
        """Send a page's form."""
        return self._sandbox.browser(self.openid).visit(url, form)

    @property
    def _state(self) -> PhoneState:
        # Looked up each time: a reset or a loaded session replaces the phones.
        return self._sandbox.phones.get(self.openid)

    def _must_follow(self) -> None:
        if not self.following:
            raise ActionError(f"{self.openid} does not follow the account")

    def _notice(self, text: str) -> None:
        self._sandbox.phones.show(self._state, "notice", text=text)

    def _window(self, trigger: str) -> None:
        self._sandbox.phones.open_window(self._state, trigger)

    def _message(self, kind: str, text: str, shown: Fields, **fields: Any) -> Delivery:
        self._must_follow()
        self._window("message")
        self._sandbox.phones.show(self._state, "sent", text=text, extra={"type": kind, **shown})
        account, at = self._sandbox.settings.original_id, self._sandbox.clock.now()
        return self._sandbox.courier.post(
            Delivery(events.message(self.openid, account, at, kind, **fields))
        )

    def _event(self, name: str, *, shows: bool = True, **fields: Any) -> Delivery:
        account, at = self._sandbox.settings.original_id, self._sandbox.clock.now()
        sent = events.event(self.openid, account, at, name, **fields)
        return self._sandbox.courier.post(Delivery(sent, shows=shows))
