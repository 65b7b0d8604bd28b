//! One text for several instruction sets: a [`Work`] is compiled for each of them.

/// What a variant does.  `run` must be `inline(always)`, and all that it calls where speed matters: only what is inlined
/// is compiled for the variant's instructions, which is why this is no closure.
pub(crate) trait Work {
    /// What comes of it.
    type Output;

    /// Do it.
    fn run(self) -> Self::Output;
}

/// How the kernels compute; all give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// What the compiler assumes of any processor of this family.
    Portable,
    /// 16 words in a register.
    Avx2,
    /// 32 words in a register.
    Avx512,
}

impl Variant {
    /// All of them, the slowest first.
    pub const ALL: [Variant; 3] = [Variant::Portable, Variant::Avx2, Variant::Avx512];

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            Variant::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => {
                is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// The fastest that this processor has.
    pub fn best() -> Variant {
        Variant::ALL.into_iter().rev().find(|variant| variant.is_available()).unwrap_or(Variant::Portable)
    }

    /// Do `work` with the instructions of this variant, portably where the processor has them not.
    #[inline(always)]
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            // SAFETY: the guard has asked the processor for the features of the function.
            Variant::Avx2 if self.is_available() => unsafe { run_avx2(work) },
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            // SAFETY: the guard has asked the processor for the features of the function.
            Variant::Avx512 if self.is_available() => unsafe { run_avx512(work) },
            _ => work.run(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512bw,avx512dq,avx512vl")]
fn run_avx512<W: Work>(work: W) -> W::Output {
    work.run()
}
