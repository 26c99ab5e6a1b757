//! In which time zone a phone number probably is.
//!
//! Only what a number really tells: geographic numbers of Russia by their area codes, and countries
//! that have one time zone. A Russian mobile number may be anywhere.

use jiff::tz::TimeZone;

use crate::domain::PhoneNumber;

/// The customer's time zone, as far as the number tells.
pub(super) fn of_number(phone: &PhoneNumber) -> Option<TimeZone> {
    let number = phone.as_str().strip_prefix('+')?;
    let name = match number.strip_prefix('7') {
        Some(national) => in_zone_seven(national.get(..3)?)?,
        None => COUNTRIES.iter().find(|(code, _)| number.starts_with(code))?.1,
    };
    TimeZone::get(name).ok()
}

/// `+7` is Russia and Kazakhstan.
fn in_zone_seven(area: &str) -> Option<&'static str> {
    if area.starts_with(['6', '7']) {
        return Some("Asia/Almaty");
    }
    AREAS.iter().find(|(_, areas)| areas.contains(&area)).map(|(zone, _)| *zone)
}

/// Area codes of Russia's geographic numbers.
const AREAS: &[(&str, &[&str])] = &[
    ("Europe/Kaliningrad", &["401"]),
    (
        "Europe/Moscow",
        &[
            "471", "472", "473", "474", "475", "481", "482", "483", "484", "485", "486", "487",
            "491", "492", "493", "494", "495", "496", "498", "499", "811", "812", "813", "814",
            "815", "816", "817", "818", "820", "821", "831", "833", "834", "835", "836", "841",
            "843", "844", "847", "855", "861", "862", "863", "866", "867", "871", "872", "873",
            "877", "865", "878", "879",
        ],
    ),
    ("Europe/Samara", &["341", "846", "848"]),
    ("Europe/Saratov", &["845"]),
    ("Europe/Ulyanovsk", &["842"]),
    ("Europe/Astrakhan", &["851"]),
    ("Asia/Yekaterinburg", &["342", "343", "345", "346", "347", "349", "351", "352", "353"]),
    ("Asia/Omsk", &["381"]),
    ("Asia/Novosibirsk", &["383"]),
    ("Asia/Barnaul", &["385", "388"]),
    ("Asia/Tomsk", &["382"]),
    ("Asia/Novokuznetsk", &["384"]),
    ("Asia/Krasnoyarsk", &["390", "391", "394"]),
    ("Asia/Irkutsk", &["301", "395"]),
    ("Asia/Chita", &["302"]),
    ("Asia/Yakutsk", &["416"]),
    ("Asia/Vladivostok", &["421", "423", "426"]),
    ("Asia/Magadan", &["413"]),
    ("Asia/Sakhalin", &["424"]),
    ("Asia/Kamchatka", &["415"]),
    ("Asia/Anadyr", &["427"]),
];

/// Country codes none of which begins another one.
const COUNTRIES: &[(&str, &str)] = &[
    ("33", "Europe/Paris"),
    ("36", "Europe/Budapest"),
    ("39", "Europe/Rome"),
    ("40", "Europe/Bucharest"),
    ("41", "Europe/Zurich"),
    ("43", "Europe/Vienna"),
    ("44", "Europe/London"),
    ("45", "Europe/Copenhagen"),
    ("46", "Europe/Stockholm"),
    ("47", "Europe/Oslo"),
    ("48", "Europe/Warsaw"),
    ("49", "Europe/Berlin"),
    ("66", "Asia/Bangkok"),
    ("81", "Asia/Tokyo"),
    ("82", "Asia/Seoul"),
    ("84", "Asia/Ho_Chi_Minh"),
    ("86", "Asia/Shanghai"),
    ("90", "Europe/Istanbul"),
    ("91", "Asia/Kolkata"),
    ("358", "Europe/Helsinki"),
    ("359", "Europe/Sofia"),
    ("370", "Europe/Vilnius"),
    ("371", "Europe/Riga"),
    ("372", "Europe/Tallinn"),
    ("373", "Europe/Chisinau"),
    ("374", "Asia/Yerevan"),
    ("375", "Europe/Minsk"),
    ("380", "Europe/Kyiv"),
    ("381", "Europe/Belgrade"),
    ("420", "Europe/Prague"),
    ("971", "Asia/Dubai"),
    ("972", "Asia/Jerusalem"),
    ("992", "Asia/Dushanbe"),
    ("993", "Asia/Ashgabat"),
    ("994", "Asia/Baku"),
    ("995", "Asia/Tbilisi"),
    ("996", "Asia/Bishkek"),
    ("998", "Asia/Tashkent"),
];
