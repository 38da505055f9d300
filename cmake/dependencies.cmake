# Debian 12 packages; docs/ARCHITECTURE.md says why each is here.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

function(fw_import name module)
    pkg_check_modules(FW_${name} REQUIRED IMPORTED_TARGET ${module})
    add_library(fw::${name} ALIAS PkgConfig::FW_${name})
endfunction()

fw_import(simdjson simdjson)
fw_import(gnutls gnutls)
fw_import(snappy snappy)
fw_import(xxhash libxxhash)
fw_import(zlib zlib)
fw_import(zstd libzstd)
fw_import(sqlite3 sqlite3)
fw_import(microhttpd libmicrohttpd)
fw_import(curl libcurl)
fw_import(inih inih)
fw_import(cmocka cmocka)

# Without a .pc file.
find_path(FW_cctz_INCLUDE cctz/time_zone.h REQUIRED)
find_library(FW_cctz_LIBRARY cctz REQUIRED)
add_library(fw_cctz UNKNOWN IMPORTED)
set_target_properties(fw_cctz PROPERTIES IMPORTED_LOCATION ${FW_cctz_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${FW_cctz_INCLUDE})
add_library(fw::cctz ALIAS fw_cctz)

# Peers that benches are measured against; a bench whose peer is absent is not built.
pkg_check_modules(FW_jansson IMPORTED_TARGET jansson)
