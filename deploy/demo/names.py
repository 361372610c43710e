"""Names for synthetic persons, as they occur in Norwegian adult education; given and family names combine freely."""

NAMES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    # Norwegian
    (
        ("Åse", "Øyvind", "Kjærsti", "Håkon", "Sæbjørg", "Tormod", "Gro-Helene", "Pål André"),
        ("Fjordåsen", "Øvrelid", "Nærgård", "Bjørkåker", "Sæterlien", "Storlid-Næss", "Ånrud"),
    ),
    # North Sámi: á č đ ŋ š ŧ ž
    (
        ("Áilu", "Máret", "Biret Ánne", "Niillas", "Jovnna", "Risten", "Šuoŋŋal"),
        ("Čáhcesuolu", "Báŋkovárri", "Gáŧŧejohka", "Đurravuopmi", "Ružžeguolbba", "Šaldegieddi"),
    ),
    # Somali: most people have three names, and no family name in the Norwegian sense
    (
        ("Hodan Cali", "Abdirahman Warsame", "Ifrah Xasan", "Cabdi Nuur", "Sahra", "Liibaan Maxamed"),
        ("Warsadeeq", "Guuleedbile", "Xirsimaal", "Cawaleyare", "Dhooresame"),
    ),
    # Ukrainian, in the passport's Latin letters
    (
        ("Oksana", "Dmytro", "Yevheniia", "Taras", "Sofiia", "Mar'iana", "Viacheslav"),
        ("Polovetska", "Chornolisskyi", "Zhytnyk-Hai", "Vyshnevadenko", "Stepovyichuk", "Shchedrolisko"),
    ),
    # Arabic, transcribed
    (
        ("Nour al-Huda", "Abd al-Karim", "Rania", "Youssef", "Maryam", "Khaled"),
        ("al-Nahrawi", "Bin Sahlani", "Abu Zaytoun", "Qamarani", "El-Wadieh", "Ghaymani"),
    ),
)
