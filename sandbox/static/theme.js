// Telegram's colours, light and dark; the console wears the same as the Mini App is given.

export const THEMES = {
  light: {
    bg_color: "#ffffff", text_color: "#000000", hint_color: "#707579", link_color: "#2481cc", button_color: "#2481cc",
    button_text_color: "#ffffff", secondary_bg_color: "#f1f2f5", header_bg_color: "#ffffff", bottom_bar_bg_color: "#ffffff",
    accent_text_color: "#2481cc", section_bg_color: "#ffffff", section_header_text_color: "#6d6d72",
    section_separator_color: "#e3e4e8", subtitle_text_color: "#707579", destructive_text_color: "#d93a3a",
  },
  dark: {
    bg_color: "#17212b", text_color: "#f5f5f5", hint_color: "#8596a8", link_color: "#6ab3f3", button_color: "#3e88c7",
    button_text_color: "#ffffff", secondary_bg_color: "#0e1621", header_bg_color: "#17212b", bottom_bar_bg_color: "#17212b",
    accent_text_color: "#6ab2f2", section_bg_color: "#17212b", section_header_text_color: "#6ab3f3",
    section_separator_color: "#101a24", subtitle_text_color: "#8596a8", destructive_text_color: "#ec5c5c",
  },
};

const listeners = [];
let current = localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

export const themeParams = () => THEMES[current];
export const onTheme = (listener) => listeners.push(listener);

export function wear(name) {
  current = name;
  localStorage.setItem("theme", name);
  document.documentElement.dataset.theme = name;
  listeners.forEach((listener) => listener());
}

export const toggle = () => wear(current === "dark" ? "light" : "dark");
wear(current);
