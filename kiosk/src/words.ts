// The page's own words. What the kiosk says comes from its flow.

import type { NoMicrophone } from "./audio/microphone.ts";
import type { Refusal } from "./protocol/link.ts";

export interface Words {
  touch: string;
  greeting: string;
  privacy: string;
  connecting: string;
  reconnecting: string;
  busy: string;
  away: string;
  listening: string;
  hearing: string;
  thinking: string;
  speaking: string;
  paused: string;
  youSaid: string;
  prompt: string;
  type: string;
  typeHere: string;
  send: string;
  close: string;
  space: string;
  erase: string;
  hush: string;
  mute: string;
  unmute: string;
  end: string;
  micOn: string;
  micOff: string;
  noMicrophone: Record<NoMicrophone, string>;
  noSound: string;
  failed: string;
  pairTitle: string;
  pairHint: string;
  pairLabel: string;
  pairButton: string;
  takenTitle: string;
  takenHint: string;
  takenButton: string;
  refused: Record<Exclude<Refusal, "taken">, string>;
}

const en: Words = {
  touch: "Touch to talk",
  greeting: "How can I help you today?",
  privacy: "The microphone is on only while we talk.",
  connecting: "Connecting …",
  reconnecting: "One moment, I am reconnecting. I have kept what you said.",
  busy: "So many people are asking just now. One moment, please.",
  away: "One moment, please. I will be right back.",
  listening: "Listening",
  hearing: "I hear you",
  thinking: "Thinking",
  speaking: "Speaking",
  paused: "Microphone off",
  youSaid: "You",
  prompt: "Go ahead, I am listening.",
  type: "Type",
  typeHere: "Type your question",
  send: "Send",
  close: "Close",
  space: "Space",
  erase: "Delete",
  hush: "Stop",
  mute: "Mute",
  unmute: "Talk",
  end: "Finish",
  micOn: "Microphone on",
  micOff: "Microphone off",
  noMicrophone: {
    denied: "The microphone is blocked. Please type, or use the buttons.",
    missing: "I have no microphone here. Please type, or use the buttons.",
    insecure: "The microphone needs a secure page (https). Please type, or use the buttons.",
  },
  noSound: "This browser cannot play my voice. You can read and type.",
  failed: "I am sorry, something went wrong. Please ask a member of our staff.",
  pairTitle: "Set up this kiosk",
  pairHint: "Paste the kiosk token that the store’s administrator made for this screen.",
  pairLabel: "Kiosk token",
  pairButton: "Connect",
  takenTitle: "Another screen took over",
  takenHint: "This kiosk is open in another window or on another device.",
  takenButton: "Use this screen",
  refused: {
    token: "The token was not accepted: it is wrong or out of date. Ask for a new one.",
    kiosk: "This kiosk is not known here. Check which store the token was made for.",
    malformed: "The gateway did not understand this page. It may be out of date: load it again.",
  },
};

const de: Words = {
  touch: "Zum Sprechen berühren",
  greeting: "Wie kann ich Ihnen helfen?",
  privacy: "Das Mikrofon ist nur an, während wir sprechen.",
  connecting: "Verbinde …",
  reconnecting: "Einen Moment, ich verbinde mich neu. Was Sie gesagt haben, habe ich behalten.",
  busy: "Gerade wird sehr viel gefragt. Einen Moment bitte.",
  away: "Einen Moment bitte. Ich bin gleich wieder da.",
  listening: "Ich höre zu",
  hearing: "Ich höre Sie",
  thinking: "Ich denke nach",
  speaking: "Ich spreche",
  paused: "Mikrofon aus",
  youSaid: "Sie",
  prompt: "Sprechen Sie einfach, ich höre zu.",
  type: "Tippen",
  typeHere: "Ihre Frage",
  send: "Senden",
  close: "Schließen",
  space: "Leerzeichen",
  erase: "Löschen",
  hush: "Stopp",
  mute: "Stumm",
  unmute: "Sprechen",
  end: "Beenden",
  micOn: "Mikrofon an",
  micOff: "Mikrofon aus",
  noMicrophone: {
    denied: "Das Mikrofon ist gesperrt. Bitte tippen Sie oder nutzen Sie die Tasten.",
    missing: "Hier gibt es kein Mikrofon. Bitte tippen Sie oder nutzen Sie die Tasten.",
    insecure: "Das Mikrofon braucht eine sichere Seite (https). Bitte tippen Sie oder nutzen Sie die Tasten.",
  },
  noSound: "Dieser Browser kann meine Stimme nicht abspielen. Sie können lesen und tippen.",
  failed: "Entschuldigung, etwas ist schiefgegangen. Bitte wenden Sie sich an unser Personal.",
  pairTitle: "Diesen Kiosk einrichten",
  pairHint: "Fügen Sie das Kiosk-Token ein, das die Verwaltung für diesen Bildschirm erstellt hat.",
  pairLabel: "Kiosk-Token",
  pairButton: "Verbinden",
  takenTitle: "Ein anderer Bildschirm hat übernommen",
  takenHint: "Dieser Kiosk ist in einem anderen Fenster oder auf einem anderen Gerät geöffnet.",
  takenButton: "Diesen Bildschirm benutzen",
  refused: {
    token: "Das Token wurde nicht angenommen: Es ist falsch oder abgelaufen. Lassen Sie ein neues erstellen.",
    kiosk: "Dieser Kiosk ist hier nicht bekannt. Prüfen Sie, für welchen Markt das Token erstellt wurde.",
    malformed: "Das Gateway hat diese Seite nicht verstanden. Vielleicht ist sie veraltet: Laden Sie sie neu.",
  },
};

const fr: Words = {
  touch: "Touchez pour parler",
  greeting: "Comment puis-je vous aider ?",
  privacy: "Le micro n’est ouvert que pendant notre conversation.",
  connecting: "Connexion …",
  reconnecting: "Un instant, je me reconnecte. J’ai gardé ce que vous avez dit.",
  busy: "Il y a beaucoup de demandes en ce moment. Un instant, s’il vous plaît.",
  away: "Un instant, s’il vous plaît. Je reviens tout de suite.",
  listening: "J’écoute",
  hearing: "Je vous entends",
  thinking: "Je réfléchis",
  speaking: "Je parle",
  paused: "Micro coupé",
  youSaid: "Vous",
  prompt: "Allez-y, je vous écoute.",
  type: "Écrire",
  typeHere: "Écrivez votre question",
  send: "Envoyer",
  close: "Fermer",
  space: "Espace",
  erase: "Effacer",
  hush: "Arrêter",
  mute: "Couper",
  unmute: "Parler",
  end: "Terminer",
  micOn: "Micro ouvert",
  micOff: "Micro coupé",
  noMicrophone: {
    denied: "Le micro est bloqué. Écrivez ou utilisez les boutons.",
    missing: "Il n’y a pas de micro ici. Écrivez ou utilisez les boutons.",
    insecure: "Le micro exige une page sécurisée (https). Écrivez ou utilisez les boutons.",
  },
  noSound: "Ce navigateur ne peut pas lire ma voix. Vous pouvez lire et écrire.",
  failed: "Désolé, quelque chose n'a pas fonctionné. Veuillez vous adresser à notre personnel.",
  pairTitle: "Configurer cette borne",
  pairHint: "Collez le jeton que l’administration du magasin a créé pour cet écran.",
  pairLabel: "Jeton de la borne",
  pairButton: "Connecter",
  takenTitle: "Un autre écran a pris le relais",
  takenHint: "Cette borne est ouverte dans une autre fenêtre ou sur un autre appareil.",
  takenButton: "Utiliser cet écran",
  refused: {
    token: "Le jeton est refusé : il est faux ou périmé. Demandez-en un nouveau.",
    kiosk: "Cette borne n’est pas connue ici. Vérifiez pour quel magasin le jeton a été créé.",
    malformed: "La passerelle n’a pas compris cette page. Elle est peut-être périmée : rechargez-la.",
  },
};

const tr: Words = {
  touch: "Konuşmak için dokunun",
  greeting: "Size nasıl yardımcı olabilirim?",
  privacy: "Mikrofon yalnızca konuşurken açıktır.",
  connecting: "Bağlanıyor …",
  reconnecting: "Bir dakika, yeniden bağlanıyorum. Söyledikleriniz bende duruyor.",
  busy: "Şu anda çok fazla soru var. Bir dakika lütfen.",
  away: "Bir dakika lütfen. Hemen döneceğim.",
  listening: "Dinliyorum",
  hearing: "Sizi duyuyorum",
  thinking: "Düşünüyorum",
  speaking: "Konuşuyorum",
  paused: "Mikrofon kapalı",
  youSaid: "Siz",
  prompt: "Buyurun, sizi dinliyorum.",
  type: "Yaz",
  typeHere: "Sorunuzu yazın",
  send: "Gönder",
  close: "Kapat",
  space: "Boşluk",
  erase: "Sil",
  hush: "Dur",
  mute: "Sustur",
  unmute: "Konuş",
  end: "Bitir",
  micOn: "Mikrofon açık",
  micOff: "Mikrofon kapalı",
  noMicrophone: {
    denied: "Mikrofon engellenmiş. Lütfen yazın ya da düğmeleri kullanın.",
    missing: "Burada mikrofon yok. Lütfen yazın ya da düğmeleri kullanın.",
    insecure: "Mikrofon için güvenli bir sayfa (https) gerekir. Lütfen yazın ya da düğmeleri kullanın.",
  },
  noSound: "Bu tarayıcı sesimi çalamıyor. Okuyabilir ve yazabilirsiniz.",
  failed: "Üzgünüm, bir sorun oluştu. Lütfen personelimize danışın.",
  pairTitle: "Bu kiosku kurun",
  pairHint: "Mağaza yöneticisinin bu ekran için oluşturduğu kiosk anahtarını yapıştırın.",
  pairLabel: "Kiosk anahtarı",
  pairButton: "Bağlan",
  takenTitle: "Başka bir ekran devraldı",
  takenHint: "Bu kiosk başka bir pencerede ya da cihazda açık.",
  takenButton: "Bu ekranı kullan",
  refused: {
    token: "Anahtar kabul edilmedi: yanlış ya da süresi dolmuş. Yenisini isteyin.",
    kiosk: "Bu kiosk burada tanınmıyor. Anahtarın hangi mağaza için oluşturulduğuna bakın.",
    malformed: "Ağ geçidi bu sayfayı anlamadı. Sayfa eski olabilir: yeniden yükleyin.",
  },
};

const all: Record<string, Words> = { en, de, fr, tr };

/** Rows of the on-screen keyboard. */
const layouts: Record<string, string[]> = {
  en: ["1234567890", "qwertyuiop", "asdfghjkl'", "zxcvbnm,.?"],
  de: ["1234567890ß", "qwertzuiopü", "asdfghjklöä", "yxcvbnm,.?"],
  fr: ["1234567890", "azertyuiopé", "qsdfghjklmè", "wxcvbnàç,'?"],
  tr: ["1234567890", "qwertyuıopğü", "asdfghjklşi", "zxcvbnmöç,.?"],
};

/** Words for a BCP 47 language; English for those the page does not speak. */
export function wordsFor(language: string): Words {
  return all[primary(language)] ?? en;
}

/** Keyboard rows for a BCP 47 language. */
export function layoutFor(language: string): string[] {
  return layouts[primary(language)] ?? layouts["en"]!;
}

/** A language's name in that language, for its button. */
export function nameOf(language: string): string {
  const name = new Intl.DisplayNames([language], { type: "language" }).of(primary(language)) ?? language;
  return name.charAt(0).toLocaleUpperCase(language) + name.slice(1);
}

function primary(language: string): string {
  return language.toLowerCase().split("-")[0] ?? "";
}
