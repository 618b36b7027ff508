use super::*;

fn interpreter() -> Interpreter {
    Interpreter { minor: 11, machine: "x86_64", glibc_minor: 36 }
}

#[test]
fn tags_decide() {
    let fits = [
        "click-8.1.7-py3-none-any.whl",
        "six-1.16.0-py2.py3-none-any.whl",
        "x-1-1build-py3-none-any.whl",
        "x-1-py310-none-any.whl",
        "m-3.0.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "c-43.0.0-cp37-abi3-manylinux_2_28_x86_64.whl",
        "x-1-cp311-none-linux_x86_64.whl",
    ];
    let does_not = [
        "m-3.0.2-cp312-cp312-manylinux2014_x86_64.whl",
        "m-3.0.2-cp311-cp311-musllinux_1_2_x86_64.whl",
        "m-3.0.2-cp311-cp311-macosx_11_0_arm64.whl",
        "m-3.0.2-cp311-cp311-manylinux2014_aarch64.whl",
        "m-3.0.2-cp310-cp310-manylinux2014_x86_64.whl",
        "m-3.0.2-cp311-cp311t-manylinux2014_x86_64.whl",
        "m-3.0.2-cp311-cp311-manylinux_2_40_x86_64.whl",
        "c-1-cp312-abi3-manylinux2014_x86_64.whl",
        "p-1-pp310-pypy310_pp73-manylinux2014_x86_64.whl",
        "x-1-py312-none-any.whl",
        "x-1-py2-none-any.whl",
        "py3-none-any.whl",
        "x.tar.gz",
        "",
    ];
    for file in fits {
        assert!(interpreter().takes(file), "{file}");
    }
    for file in does_not {
        assert!(!interpreter().takes(file), "{file}");
    }
}
