;; The loops over all lossless pixels, sixteen bytes at a time. Each has its twin in js/src/core, for pages that forbid
;; WebAssembly. Must not know what a picture is: addresses and counts are parameters.
(module
  (import "env" "memory" (memory 1))

  ;; The four accumulators of XXH32 (seed 0) over whole stripes of 16 bytes, merged. At least one stripe; the caller does what remains.
  (func (export "stripes") (param $at i32) (param $end i32) (result i32)
    (local $lanes v128)
    (local.set $lanes (v128.const i32x4 0x24234428 0x85ebca77 0 0x61c8864f))
    (loop $stripe
      (local.set $lanes
        (i32x4.add
          (local.get $lanes)
          (i32x4.mul (v128.load (local.get $at)) (v128.const i32x4 0x85ebca77 0x85ebca77 0x85ebca77 0x85ebca77))))
      (local.set $lanes
        (i32x4.mul
          (v128.or (i32x4.shl (local.get $lanes) (i32.const 13)) (i32x4.shr_u (local.get $lanes) (i32.const 19)))
          (v128.const i32x4 0x9e3779b1 0x9e3779b1 0x9e3779b1 0x9e3779b1)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $stripe (i32.lt_u (local.get $at) (local.get $end))))
    (i32.add
      (i32.add
        (i32.rotl (i32x4.extract_lane 0 (local.get $lanes)) (i32.const 1))
        (i32.rotl (i32x4.extract_lane 1 (local.get $lanes)) (i32.const 7)))
      (i32.add
        (i32.rotl (i32x4.extract_lane 2 (local.get $lanes)) (i32.const 12))
        (i32.rotl (i32x4.extract_lane 3 (local.get $lanes)) (i32.const 18)))))

  ;; RGB pixels to opaque RGBA. Reads up to four bytes beyond the last pixel.
  (func $expand (export "expand") (param $from i32) (param $to i32) (param $count i32)
    (block $few
      (loop $four
        (br_if $few (i32.lt_u (local.get $count) (i32.const 4)))
        (v128.store
          (local.get $to)
          (v128.or
            (i8x16.swizzle (v128.load (local.get $from)) (v128.const i8x16 0 1 2 16 3 4 5 16 6 7 8 16 9 10 11 16))
            (v128.const i32x4 0xff000000 0xff000000 0xff000000 0xff000000)))
        (local.set $from (i32.add (local.get $from) (i32.const 12)))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (local.set $count (i32.sub (local.get $count) (i32.const 4)))
        (br $four)))
    (block $done
      (loop $one
        (br_if $done (i32.eqz (local.get $count)))
        (i32.store
          (local.get $to)
          (i32.or (i32.const 0xff000000) (i32.and (i32.load (local.get $from)) (i32.const 0x00ffffff))))
        (local.set $from (i32.add (local.get $from) (i32.const 3)))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $one))))

  ;; RGB pixels to their place in a picture, and to RGBA.
  (func (export "write") (param $from i32) (param $pixels i32) (param $rgba i32) (param $count i32)
    (local $at i32)
    (local $end i32)
    (local.set $at (local.get $from))
    (local.set $end (i32.add (local.get $from) (i32.mul (local.get $count) (i32.const 3))))
    (block $few
      (loop $sixteen
        (br_if $few (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $end)))
        (v128.store (local.get $pixels) (v128.load (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $pixels (i32.add (local.get $pixels) (i32.const 16)))
        (br $sixteen)))
    (block $done
      (loop $one
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (i32.store8 (local.get $pixels) (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $pixels (i32.add (local.get $pixels) (i32.const 1)))
        (br $one)))
    (call $expand (local.get $from) (local.get $rgba) (local.get $count))))
