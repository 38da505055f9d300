# The front door; CMakePresets.json has the rest.
.PHONY: build test demo release format
build test demo:
	./run $@
release:
	cmake --preset release && cmake --build --preset release
format:
	git ls-files 'src/*.[ch]' 'src/*.cpp' 'tests/*.[ch]' 'bench/*.[ch]' 'fuzz/*.[ch]' | xargs clang-format-14 -i
