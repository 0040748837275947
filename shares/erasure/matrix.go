package erasure

// Arithmetic in GF(2^8) modulo x^8+x^4+x^3+x^2+1, with generator 2: exp holds
// its powers (twice over, so that sums of two logarithms need no reduction),
// log their inverse.
var exp, log = tables()

func tables() (exp [510]byte, log [256]int) {
	x := 1
	for i := range 255 {
		exp[i], exp[i+255] = byte(x), byte(x)
		log[x] = i
		if x <<= 1; x >= 256 {
			x ^= 0x11d
		}
	}
	return exp, log
}

// point is where the polynomial is evaluated for block i.
func point(i int) byte {
	if i == 0 {
		return 0
	}
	return exp[i-1]
}

// parityRows returns rows k..N-1 of the encoding matrix: block r is P(x_r)
// for the polynomial P of degree below k that takes the value of block j at
// x_j for each j < k. So entry (r, j) is Lagrange's
//
//	prod over m != j of (x_r + x_m) / (x_j + x_m)
//
// computed by logarithms, none of the factors being zero.
func parityRows(needed, total int) [][]byte {
	weight := make([]int, needed)
	for j := range weight {
		weight[j] = logProduct(point(j), needed, j)
	}
	rows := make([][]byte, total-needed)
	for i := range rows {
		x := point(needed + i)
		whole := logProduct(x, needed, -1)
		rows[i] = make([]byte, needed)
		for j := range rows[i] {
			l := whole - log[x^point(j)] - weight[j]
			rows[i][j] = exp[((l%255)+255)%255]
		}
	}
	return rows
}

// logProduct is the logarithm of the product of x + x_m over m < needed, but
// for m = except.
func logProduct(x byte, needed, except int) int {
	sum := 0
	for m := range needed {
		if m != except {
			sum += log[x^point(m)]
		}
	}
	return sum % 255
}
