// What a client answers when a Mini App asks for things: cloud storage for real, the rest politely declined.

const DECLINED = {
  web_app_request_write_access: () => ["write_access_requested", { status: "allowed" }],
  web_app_request_phone: () => ["phone_requested", { status: "cancelled" }],
  web_app_read_text_from_clipboard: ({ req_id }) => ["clipboard_text_received", { req_id, data: null }],
  web_app_request_fullscreen: () => ["fullscreen_failed", { error: "UNSUPPORTED" }],
  web_app_biometry_get_info: () => ["biometry_info_received", { available: false }],
  web_app_check_home_screen: () => ["home_screen_checked", { status: "unsupported" }],
  web_app_device_storage_get_key: ({ req_id }) => ["device_storage_failed", { req_id, error: "UNSUPPORTED" }],
  web_app_device_storage_save_key: ({ req_id }) => ["device_storage_failed", { req_id, error: "UNSUPPORTED" }],
  web_app_secure_storage_get_key: ({ req_id }) => ["secure_storage_failed", { req_id, error: "UNSUPPORTED" }],
  web_app_secure_storage_save_key: ({ req_id }) => ["secure_storage_failed", { req_id, error: "UNSUPPORTED" }],
};

/** Answer one request of the app; what is neither known nor needs an answer, like haptics, is let pass. */
export function answerRequest(phone, type, data) {
  if (type === "web_app_invoke_custom_method") phone.post("custom_method_invoked", { req_id: data.req_id, ...cloud(phone.userId, data) });
  else if (Object.hasOwn(DECLINED, type)) phone.post(...DECLINED[type](data));
}

function cloud(userId, { method, params = {} }) {
  const name = `cloud ${userId}`;
  const kept = JSON.parse(localStorage.getItem(name) || "{}");
  const save = () => localStorage.setItem(name, JSON.stringify(kept));
  switch (method) {
    case "saveStorageValue": kept[params.key] = params.value; save(); return { result: true };
    case "getStorageValues": return { result: Object.fromEntries(params.keys.map((key) => [key, kept[key] ?? ""])) };
    case "deleteStorageValues": params.keys.forEach((key) => delete kept[key]); save(); return { result: true };
    case "getStorageKeys": return { result: Object.keys(kept) };
    default: return { error: "METHOD_INVALID" };
  }
}
