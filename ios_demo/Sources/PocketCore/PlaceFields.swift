/// Which fields of a photo's metadata tell where it was taken, as ImageIO names them: "exif:GPSLatitude".
///
/// EXIF's GPS block, IPTC's location fields (IPTC-IIM and IPTC Core come under `photoshop` and `Iptc4xmpCore`), and the
/// structures of IPTC Extension. Sources: EXIF 2.32, 4.6.6; IPTC Photo Metadata Standard 2023.1.
public enum PlaceFields {
    /// prefix: of the XMP namespace. name: of the property.
    public static func contain(prefix: String, name: String) -> Bool {
        if prefix == "exif" || prefix == "exifEX" { return name.hasPrefix("GPS") }
        return named[prefix]?.contains(name) ?? false
    }

    /// "exif:GPSLatitude"; of a path into a structure its first field counts.
    public static func contain(path: String) -> Bool {
        let parts = path.prefix { $0 != "." && $0 != "[" }.split(separator: ":", maxSplits: 1)
        return parts.count == 2 && contain(prefix: String(parts[0]), name: String(parts[1]))
    }

    private static let named: [String: Set<String>] = [
        "photoshop": ["City", "State", "Country"],
        "Iptc4xmpCore": ["Location", "CountryCode"],
        "Iptc4xmpExt": [
            "LocationCreated", "LocationShown", "City", "Sublocation", "ProvinceState", "CountryName", "CountryCode",
            "WorldRegion",
        ],
    ]
}
